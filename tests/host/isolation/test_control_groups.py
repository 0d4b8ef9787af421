"""What root inside makes of the group that is handed to it must not outlive it, nor grow without end."""

from runtime.contract import DesiredState, ObservedState
from runtime.engine import Engine
from runtime.host.cgroup import version
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.support.laboratory import inside
from tests.host.support.node import Specs


def _dig(top: str) -> int:
    """Groups one in another, as deep as the kernel lets it."""
    import os

    os.chdir(top)
    depth = 0
    try:
        while depth < 3000:
            os.mkdir("d")
            os.chdir("d")
            depth += 1
    except OSError:
        pass
    return depth


def _spread(top: str) -> int:
    import os

    made = 0
    try:
        while made < 5000:
            os.mkdir(f"{top}/s{made}")
            made += 1
    except OSError:
        pass
    return made


def test_b04_groups_in_groups_do_not_outlive_it(
    node: Node, make: Make, image: str, engine: Engine, specs: Specs
) -> None:
    spec = make(image=image)
    top = "/sys/fs/cgroup/systemd" if version() == 1 else "/sys/fs/cgroup"
    inside(node, spec, _dig, top)
    inside(node, spec, _spread, top)
    report = engine.apply(specs.change(spec, desired=DesiredState.DELETED))
    assert report is not None
    assert report.state is ObservedState.DELETED, report.message

"""An app from a real registry: what it runs as, what it finds, how it ends."""

from collections.abc import Callable
from typing import Any

from runtime.console import recording
from runtime.contract import ObservedState
from runtime.engine import Engine
from runtime.node import Node
from tests.host.apps.conftest import Hub
from tests.host.conftest import Make
from tests.host.support.inside import sh

AppOf = Callable[..., dict[str, Any]]


def console(node: Node, spec: Any) -> str:
    return b"".join(recording.text(node.console(spec.id))).decode()


def test_it_runs_as_its_image_says(
    make: Make, node: Node, engine: Engine, app_of: AppOf, shell_image: str
) -> None:
    spec = make(**app_of(shell_image))
    assert "out there" in console(node, spec)
    assert sh(node, spec, "id -u; id -g; id -G; pwd; echo $FROM; cat /new; ls /") 
    report = engine.current_report(spec.id)
    assert report is not None
    assert report.state is ObservedState.RUNNING
    assert report.app is not None
    assert report.app.digest.startswith("sha256:")

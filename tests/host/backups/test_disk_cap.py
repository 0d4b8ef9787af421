"""What backups may read of the pool in a second is held by the kernel."""

from dataclasses import replace

from runtime.host.cgroup import groups
from runtime.images.confined import Program, confined
from runtime.node import Node
from runtime.sandboxes.shared.cgroup import pool_device

_RATE = 7 * 2**20


def _held(node: Node, *, is_background: bool) -> str:
    """What the group of such a program, and the one above it, has for the pool's device."""
    program = Program(["/usr/bin/true"], trees={}, is_background=is_background)
    with confined(node, program):
        top = f"{node.cgroup_name}-{'background' if is_background else 'import'}"
        (group,) = groups().children(top)
        said = groups().limits(f"{top}/{group}")
    return " ".join(f"{name}={value}" for name, value in said.items() if "throttle" in name or name == "io.max")


def test_of_backups_and_not_of_what_somebody_waits_for(node: Node) -> None:
    device = pool_device(node)
    assert device is not None
    slowed = replace(node, settings=node.settings.model_copy(update={"background_disk_mib_s": 7}))
    assert f"{device} {_RATE}" in _held(slowed, is_background=True) or f"rbps={_RATE}" in _held(
        slowed, is_background=True
    )
    assert str(_RATE) not in _held(slowed, is_background=False)
    assert str(_RATE) not in _held(node, is_background=True)

"""An app on a guarded kernel: it is what its image says, and gVisor answers it."""

import pytest

from runtime.contract import Kernel, Limits, RestartMode, RestartPolicy
from runtime.engine import Engine
from runtime.node import Node
from tests.host.apps.conftest import AppOf
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.kernels import ended
from tests.host.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("guarded_kernel")
NEVER = RestartPolicy(mode=RestartMode.NEVER)
FIELDS = {"kernel": Kernel.GUARDED, "limits": Limits(cpu=1, memory_mb=256, disk_mb=256), "stop_timeout_s": 20}


def test_an_app_is_what_its_image_says(
    make: Make, node: Node, engine: Engine, app_of: AppOf, shell_image: str
) -> None:
    spec = make(**app_of(shell_image, env={"TOLD": "yes"}), restart=NEVER, **FIELDS)
    log = node.console(spec.id) / "log"
    wait_until(lambda: b"out there" in log.read_bytes() and b"err" in log.read_bytes(), "both of its lines")
    said = sh(node, spec, "id -u; pwd; echo $FROM $TOLD; cat /proc/1/comm; dmesg | head -n 1; hostname")
    assert "Starting gVisor" in said
    lines = said.split("\n")
    assert lines[0] != "0"
    assert lines[2] == "image yes"
    assert lines[-1] == spec.name
    engine.sandbox.signal(spec.id, 15)
    assert ended(node, spec) == 7

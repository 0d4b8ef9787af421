"""What an app chose of its walls, as the kernel has it."""

from pathlib import Path

import pytest

from runtime.contract import Kernel, SecurityClass, SecurityProfile
from runtime.contract.capabilities import CAPABILITIES
from runtime.errors import RuntimeFault
from runtime.node import Node
from runtime.oci.config import hard_limit
from runtime.sandboxes.shared.container import init_pid
from tests.host.apps.conftest import AppOf
from tests.host.conftest import Make
from tests.host.support.inside import sh


def _held(pid: int | None) -> set[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = int(next(line.split()[1] for line in lines if line.startswith("CapEff:")), 16)
    return {name.removeprefix("CAP_") for name, bit in CAPABILITIES.items() if mask >> bit & 1}


def test_it_has_what_it_chose(make: Make, node: Node, app_of: AppOf, shell_image: str) -> None:
    spec = make(
        **app_of(
            shell_image,
            user="0",
            hostname="db.example",
            labels={"team": "shop"},
            ulimits={"nofile": "300:400", "memlock": "-1", "stack": "1048576"},
            sysctls={"net.core.somaxconn": "99", "kernel.msgmax": "9000", "net.ipv4.ip_forward": "1"},
            cap_add=("NET_ADMIN", "SYS_PTRACE"),
            cap_drop=("KILL", "SYS_TIME"),
        )
    )
    held = _held(init_pid(node, spec.id))
    assert {"NET_ADMIN", "SYS_PTRACE", "CHOWN"} <= held
    assert not {"KILL", "SYS_ADMIN", "NET_RAW"} & held
    said = sh(
        node,
        spec,
        "ulimit -Sn; ulimit -Hn; ulimit -s; ulimit -Hl; cd /proc/sys; cat net/core/somaxconn kernel/msgmax"
        " net/ipv4/ip_forward; hostname; cat /etc/hostname",
    ).split()
    locked = min(spec.limits.memory_mb * 2**20, hard_limit("Max locked memory")) // 1024
    assert said == ["300", "400", "1024", str(locked), "99", "9000", "1", "db.example", "db.example"]
    hosts = sh(node, spec, "cat /etc/hosts")
    assert "db.example" in hosts
    assert spec.name in hosts


def test_its_class_has_the_last_word(make: Make, node: Node, app_of: AppOf, shell_image: str) -> None:
    """One that was made strict afterwards: what it asked for before is not given."""
    strict = SecurityProfile(confinement=SecurityClass.STRICT)
    spec = make(security=strict, **app_of(shell_image, user="0", cap_add=("NET_ADMIN",), cap_drop=("ALL",)))
    assert _held(init_pid(node, spec.id)) == set()


def test_settings_of_another_kernel_are_refused(make: Make, app_of: AppOf, shell_image: str) -> None:
    with pytest.raises((RuntimeFault, AssertionError), match=r"sysctls|kernel"):
        make(kernel=Kernel.GUARDED, **app_of(shell_image, sysctls={"net.core.somaxconn": "99"}))

"""Who root inside is outside, and that every way in leads to the same place (A01, A12)."""

from itertools import combinations
from pathlib import Path

from runtime.contract import EnvironmentSpec
from runtime.contract.capabilities import CAPABILITIES
from runtime.node import IDS_PER_SLOT, Node
from runtime.oci.config import host_capabilities
from runtime.sandboxes.shared.container import init_pid
from tests.host.conftest import Make
from tests.host.isolation.conftest import Try
from tests.host.support.inside import sh

#: security-settings: the mask that was seen to boot systemd, less what this host lacks itself.
BOUNDING = 0xBDECFDFF


def _status(text: str) -> dict[str, str]:
    return {key: rest.strip() for key, _, rest in (line.partition(":") for line in text.splitlines())}


def test_a01_init_and_exec_have_the_mapping_the_mask_and_the_filter(node: Node, ve: EnvironmentSpec) -> None:
    pid = init_pid(node, ve.id)
    inside = sh(node, ve, "cat /proc/self/status; cat /proc/self/uid_map /proc/self/gid_map")
    init = Path(f"/proc/{pid}/status").read_text()
    for text in (inside, init):
        seen = _status(text)
        assert int(seen["CapBnd"], 16) == BOUNDING & host_capabilities()
        assert int(seen["CapInh"], 16) == int(seen["CapAmb"], 16) == 0
        assert seen["Seccomp"] == "2"
    first = str(node.first_uid(ve.slot))
    for kind in ("uid_map", "gid_map"):
        assert Path(f"/proc/{pid}/{kind}").read_text().split() == ["0", first, "65536"]


def test_a01_the_mask_is_what_the_design_names() -> None:
    assert sum(1 << bit for bit in CAPABILITIES.values()) == BOUNDING


def test_a01_no_two_environments_share_an_id(node: Node, make: Make, ve: EnvironmentSpec) -> None:
    same_tenant = make()
    firsts = [
        int(Path(f"/proc/{init_pid(node, one.id)}/uid_map").read_text().split()[1]) for one in (ve, same_tenant)
    ]
    assert all(abs(one - other) >= IDS_PER_SLOT for one, other in combinations(firsts, 2))


def test_a01_a_strict_environment_has_less(node: Node, make: Make) -> None:
    spec = make(security={"confinement": "strict"})
    mask = int(_status(sh(node, spec, "cat /proc/self/status"))["CapBnd"], 16)
    for name in ("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_PTRACE", "CAP_MKNOD", "CAP_IPC_LOCK"):
        assert not mask >> CAPABILITIES[name] & 1, name


def _confinement(pid: int | str) -> dict[str, str]:
    """All that a way in could forget to set."""
    of = Path(f"/proc/{pid}")
    status = _status((of / "status").read_text())
    fields = (
        "CapBnd",
        "CapEff",
        "CapPrm",
        "CapInh",
        "CapAmb",
        "Seccomp",
        "Seccomp_filters",
        "NoNewPrivs",
        "Uid",
        "Gid",
    )
    seen = {name: status[name] for name in fields}
    seen |= {f"ns/{one.name}": str(one.readlink()) for one in (of / "ns").iterdir()}
    seen["cgroup"] = "".join(
        line for line in (of / "cgroup").read_text().splitlines(keepends=True) if not line.startswith("0::")
    )
    seen["oom_score_adj"] = (of / "oom_score_adj").read_text()
    seen["limits"] = (of / "limits").read_text()
    return seen


def test_a12_a_command_is_confined_as_init_is(node: Node, ve: EnvironmentSpec) -> None:
    from tests.host.support.entries import command_process

    init = _confinement(init_pid(node, ve.id) or 0)
    with command_process(node, ve) as pid:
        assert _confinement(pid) == init


def test_a12_a_terminal_is_confined_as_init_is(node: Node, ve: EnvironmentSpec) -> None:
    from tests.host.support.entries import terminal_process

    init = _confinement(init_pid(node, ve.id) or 0)
    with terminal_process(node, ve) as pid:
        assert _confinement(pid) == init


def test_a12_a_shell_of_the_nodes_command_line_is_confined_as_init_is(node: Node, ve: EnvironmentSpec) -> None:
    from tests.host.support.entries import command_line_process

    init = _confinement(init_pid(node, ve.id) or 0)
    with command_line_process(node, ve) as pid:
        assert _confinement(pid) == init


def test_a12_no_way_in_brings_a_descriptor_of_the_host(tries: Try) -> None:
    def descriptors() -> list[str]:
        import os

        return [
            os.readlink(f"/proc/self/fd/{one}")
            for one in range(3, 1024)
            if os.path.exists(f"/proc/self/fd/{one}")
        ]

    assert tries(descriptors) == []

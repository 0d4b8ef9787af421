"""The system call filter that we compile once is, byte for byte, the one that the OCI runtime would make."""

import json
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest

from runtime.contract import EnvironmentSpec, SecurityProfile
from runtime.node import Node
from runtime.oci.bpf import program
from runtime.oci.seccomp import profile

_CHOICES = [
    SecurityProfile(nesting=nesting, firewall=firewall, compat32=compat32)
    for nesting, firewall, compat32 in product((False, True), repeat=3)
]


def test_a_running_environment_has_the_compiled_filter(node: Node, ve: EnvironmentSpec) -> None:
    kept = node.oci_root / node.container_name(ve.id) / "seccomp.bpf"
    assert kept.read_bytes() == program(profile(ve.security, is_answered=True))


@pytest.mark.parametrize("security", _CHOICES, ids=lambda one: ",".join(k for k, on in one if on is True))
def test_crun_makes_the_same_of_the_profile(
    node: Node, busybox: str, tmp_path: Path, security: SecurityProfile
) -> None:
    crun = shutil.which("crun")
    if crun is None:
        pytest.skip("crun is not installed")
    config = {
        "ociVersion": "1.0.2",
        "root": {"path": str(node.image(busybox)), "readonly": True},
        "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "args": ["/bin/true"]},
        "mounts": [{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}],
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}], "seccomp": profile(security)},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = [crun, f"--root={tmp_path / 'state'}", "--cgroup-manager=disabled"]

    def run(*words: str) -> None:
        said = tmp_path / "said"
        with said.open("wb") as out:  # not a pipe, which the made process would hold open
            done = subprocess.run(
                [*command, *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=20,
                check=False,
            )
        assert done.returncode == 0, said.read_text()

    run("create", f"--bundle={tmp_path}", "filter")
    try:
        made = (tmp_path / "state" / "filter" / "seccomp.bpf").read_bytes()
    finally:
        run("delete", "--force", "filter")
    assert made == program(profile(security))

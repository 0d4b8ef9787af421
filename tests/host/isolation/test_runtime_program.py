"""A14: nobody inside writes to the OCI runtime's program, however he has it executed (CVE-2019-5736)."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from runtime.console.exec import run_command
from runtime.contract import EnvironmentSpec
from runtime.host import libc, mounts
from runtime.node import Node
from runtime.sandboxes.shared.program import ENVIRONMENT, show
from tests.host.conftest import Make
from tests.host.support.inside import sh

pytestmark = pytest.mark.skipif(shutil.which("crun") is None, reason="crun is not installed")

#: Tries to write to what it was handed.
WRITER = """#!/bin/sh
for number in 3 4 5 6 7 8; do
    [ -e /proc/self/fd/$number ] && echo "$(readlink /proc/self/fd/$number)" && echo x >>/proc/self/fd/$number
done
"""


def crun() -> Path:
    return Path(str(shutil.which("crun")))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the loader is written for x86-64")
def test_a14_a_loader_of_its_own_finds_the_program_read_only(
    node: Node, make: Make, tmp_path: Path, busybox: str
) -> None:
    spec: EnvironmentSpec = make()
    loader = tmp_path / "loader"
    source = Path(__file__).parent / "loader.c"
    subprocess.run(["gcc", "-O1", "-nostdlib", "-static", "-o", loader, source], check=True, timeout=60)
    before = crun().read_bytes()
    asked_for = re.search(rb"/lib[0-9a-z/]*/ld-linux[^\0]*", before)
    assert asked_for is not None
    root = node.root_volume(spec.id)
    inside = root / asked_for[0].decode().lstrip("/")
    inside.parent.mkdir(parents=True, exist_ok=True)
    inside.write_bytes(loader.read_bytes())
    (root / "root" / "writer").write_text(WRITER)
    (root / "root" / "evil").write_text("#!/proc/self/exe\n")
    for one in (inside, root / "root" / "writer", root / "root" / "evil"):
        one.chmod(0o755)
    done = run_command(node, spec.id, ["/root/evil"], timeout_s=20)
    said = (done.stdout + done.stderr).decode()
    assert "crun" in said, f"it was not handed the program: {done.exit_code} {said}"
    assert re.search("can't create .*: (Permission denied|Read-only file system|Text file busy)", said)
    assert said.count("can't create") == said.count("crun")
    assert crun().read_bytes() == before
    assert sh(node, spec, "echo well") == "well"


def test_it_is_not_mounted_and_executed_anew_for_each_call(node: Node, make: Make) -> None:
    """What it does by itself where it isn't shown read-only."""
    make()
    view = node.oci_runtime
    assert view.read_bytes() == crun().read_bytes()
    assert os.statvfs(view).f_flag & os.ST_RDONLY
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace = ["strace", "-f", "-e", "trace=execve,execveat,mount", view, "--version"]
    seen = subprocess.run(trace, env=ENVIRONMENT, capture_output=True, text=True, check=True, timeout=20).stderr
    assert len(re.findall(r"^(?:\[pid .*\] )?exec", seen, re.M)) == 1
    assert "mount(" not in seen


def test_another_version_is_shown_when_the_node_is_prepared_again(node: Node) -> None:
    assert show(node) is False
    mounts.unmount(node.oci_runtime)
    libc.mount(str(shutil.which("true")), str(node.oci_runtime), "", libc.MS_BIND)
    assert show(node) is True
    assert node.oci_runtime.samefile(crun())
    assert show(node) is False

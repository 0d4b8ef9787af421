"""Two tenants' environments of one image, and one that is installed anew, share no key, id or seed (found in
images that were made with them: any archive of an installed system)."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from runtime.contract import EnvironmentSpec
from runtime.engine import Engine
from runtime.host import btrfs
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs

SHARED = (
    "/etc/ssh/ssh_host_ed25519_key /etc/ssh/ssh_host_ecdsa_key.pub /etc/machine-id /var/lib/dbus/machine-id "
    "/var/lib/systemd/random-seed"
).split()


@pytest.fixture(scope="module")
def installed(node: Node, busybox: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """As somebody would hand it in: a system that ran before it was packed."""
    tree = node.image("installed")
    btrfs.snapshot(node.image(busybox), tree)
    for name in ("etc/ssh", "var/lib/dbus", "var/lib/systemd"):
        (tree / name).mkdir(parents=True)
    for kind in ("ed25519", "ecdsa"):
        key = tmp_path_factory.mktemp("keys") / f"ssh_host_{kind}_key"
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key], check=True, timeout=30)
        for one in (key, Path(f"{key}.pub")):
            (tree / "etc/ssh" / one.name).write_bytes(one.read_bytes())
            (tree / "etc/ssh" / one.name).chmod(one.stat().st_mode)
    for name in SHARED[2:]:
        (tree / name[1:]).write_text("0" * 31 + "1\n")
    btrfs.set_readonly(tree, True)
    yield "installed"
    btrfs.delete_subvolume(tree)


def _read(node: Node, spec: EnvironmentSpec) -> list[str]:
    return [sh(node, spec, f"cat {path} 2>/dev/null || true") for path in SHARED]


def test_nothing_that_was_in_the_image_is_in_an_environment(
    node: Node, make: Make, specs: Specs, engine: Engine, installed: str
) -> None:
    image = [(node.image(installed) / path[1:]).read_text().strip() for path in SHARED]
    first = make(image=installed)
    seen = [image, _read(node, first), _read(node, make(image=installed, tenant_id=UUID(int=2)))]
    report = engine.apply(specs.change(first, installs=first.installs + 1))
    assert report is not None
    assert not report.code, report.message
    seen.append(_read(node, first))
    for path, values in zip(SHARED, zip(*seen, strict=True), strict=True):
        there = [one for one in values if one]
        assert len(set(there)) == len(there), path
        assert len(there) == (1 if "seed" in path else 4), path
    assert sh(node, first, "stat -c %a /etc/ssh/ssh_host_ed25519_key") == "600"
    restarted = engine.apply(specs.change(first, generation=first.generation + 5, installs=1, boots=1))
    assert restarted is not None
    assert _read(node, first) == seen[-1], "another start keeps them"

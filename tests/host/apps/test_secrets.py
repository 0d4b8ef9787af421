"""Secrets are files in memory that the app's user alone reads, replaced while it runs, and nowhere else."""

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from runtime.contract import DesiredState, EnvironmentSpec, lock_secrets
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.glance import Glance
from runtime.node import Node
from runtime.resources.app_secrets import AppSecrets
from runtime.sandboxes.shared.container import init_pid
from tests.host.apps.conftest import AppOf
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs

KEY = b"a key of panel and node"
HIDDEN = "hunter5-word"


@pytest.fixture(autouse=True)
def _key(node: Node) -> Any:
    had = node.report_key.read_bytes() if node.report_key.exists() else None
    node.report_key.parent.mkdir(parents=True, exist_ok=True)
    node.report_key.write_bytes(KEY + b"\n")
    yield
    node.report_key.unlink() if had is None else node.report_key.write_bytes(had)


def holding(spec: EnvironmentSpec, counts: dict[str, int], values: dict[str, str], key: bytes = KEY) -> Any:
    assert spec.app is not None
    locked = lock_secrets(values, spec.id, key=key)
    return spec.app.model_copy(update={"secrets": counts, "locked": locked})


@pytest.fixture
def app(make: Make, engine: Engine, specs: Specs, app_of: AppOf, shell_image: str) -> EnvironmentSpec:
    """Which runs as somebody, with two of them."""
    stopped = make(**app_of(shell_image), desired=DesiredState.STOPPED)
    values = {"DB": HIDDEN, "TLS.key": "a\nb\n"}
    spec = specs.change(
        stopped, app=holding(stopped, {"DB": 1, "TLS.key": 1}, values), desired=DesiredState.RUNNING
    )
    report = engine.apply(spec)
    assert report is not None
    assert report.code == "", report.message
    return spec


def test_its_user_reads_them_and_nobody_changes_them(node: Node, app: EnvironmentSpec) -> None:
    assert sh(node, app, "cat /run/secrets/DB; echo; stat -c '%a %u' /run/secrets/DB; ls /run/secrets") == (
        f"{HIDDEN}\n400 1234\nDB\nTLS.key"
    )
    assert sh(node, app, "cat /run/secrets/TLS.key") == "a\nb"
    for attempt in (
        "echo x >/run/secrets/DB",
        "rm -f /run/secrets/DB",
        "chmod 644 /run/secrets/DB",
        "echo x >/run/secrets/new",
        "mkdir /run/secrets/d",
        "mount -o remount,rw /run/secrets",
        "umount /run/secrets",
    ):
        assert sh(node, app, f"({attempt}) 2>/dev/null && echo done || echo refused") == "refused", attempt
    assert "ramfs" in sh(node, app, "grep ' /run/secrets ' /proc/mounts")
    assert str(node.home) not in sh(node, app, "cat /proc/self/mountinfo")


def test_another_user_of_the_app_and_the_node_dont_read_them(node: Node, app: EnvironmentSpec) -> None:
    file = node.secrets / str(app.id) / "DB"
    assert file.read_text() == HIDDEN
    words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", str(file)]
    other = subprocess.run(words, capture_output=True, check=False, timeout=20)
    assert (other.returncode, other.stdout) == (1, b"")
    assert file.stat().st_uid == node.first_uid(app.slot) + 1234


def test_nothing_of_them_is_written_to_a_disk_or_shown(
    node: Node, engine: Engine, app: EnvironmentSpec
) -> None:
    said = str(engine.inspect(app.id)) + str(engine.current_report(app.id))
    for file in [*node.root.rglob("*"), *node.run.rglob("*"), *node.environment(app.id).rglob("*")]:
        with suppress(OSError):  # a namespace, a socket, what has just gone
            if file.is_file() and node.store not in file.parents and file.stat().st_size < 2**20:
                said += file.read_bytes().decode(errors="replace")
    tree = node.root_volume(app.id)
    said += "".join(str(one) for one in tree.rglob("run/secrets/*"))
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, UnicodeDecodeError):
            said += (process / "cmdline").read_text() + (process / "environ").read_text()
    assert HIDDEN not in said
    assert not list((tree / "run" / "secrets").iterdir())


def test_a_new_value_is_there_without_a_restart(
    node: Node, engine: Engine, specs: Specs, app: EnvironmentSpec
) -> None:
    pid = init_pid(node, app.id)
    sh(node, app, "while :; do cat /run/secrets/DB >/dev/null || echo gone >/tmp/gone; done >/dev/null 2>&1 &")
    newer = specs.change(app, app=holding(app, {"DB": 2, "NEW": 1}, {"DB": "second", "NEW": "n"}))
    report = engine.apply(newer)
    assert report is not None
    assert report.code == ""
    assert sh(node, app, "cat /run/secrets/DB; ls /run/secrets; ls /tmp/gone 2>/dev/null || true") == (
        "secondDB\nNEW"
    )
    assert init_pid(node, app.id) == pid
    assert AppSecrets(node).drifted(newer, Glance()) is None
    (node.secrets / str(app.id) / "DB").unlink()
    assert AppSecrets(node).drifted(newer, Glance()) is not None
    engine.again(app.id)
    assert sh(node, app, "cat /run/secrets/DB") == "second"


def test_they_go_with_its_stop_and_come_back_with_its_start(
    node: Node, engine: Engine, specs: Specs, app: EnvironmentSpec
) -> None:
    stopped = specs.change(app, desired=DesiredState.STOPPED)
    engine.apply(stopped)
    assert not (node.secrets / str(app.id)).exists()
    again = specs.change(stopped, desired=DesiredState.RUNNING)
    engine.apply(again)
    assert sh(node, app, "cat /run/secrets/DB") == HIDDEN
    engine.apply(specs.change(again, desired=DesiredState.DELETED))
    assert not list(node.secrets.iterdir())
    assert not engine.leaks()


def test_what_is_locked_for_another_is_refused_and_leaves_all_as_it_was(
    node: Node, engine: Engine, specs: Specs, app: EnvironmentSpec
) -> None:
    wrong = specs.change(app, app=holding(app, {"DB": 2}, {"DB": "x"}, key=b"another"))
    report = engine.apply(wrong)
    assert report is not None
    assert report.code == "secrets_shut"
    assert sh(node, app, "cat /run/secrets/DB") == HIDDEN
    with pytest.raises(RuntimeFault):
        AppSecrets(node).ensure(wrong)

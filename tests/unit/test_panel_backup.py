"""What a backup of the panel holds, read by root: it may come from anywhere."""

import os
from pathlib import Path

import pytest

from runtime.install import panel_backup
from runtime.install.layout import Layout
from runtime.install.output import Stop


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "shadow"
    file.write_text("root:of-the-host")
    return file


def _made(kind: str, place: Path, secret: Path) -> None:
    match kind:
        case "link":
            place.symlink_to(secret)
        case "fifo":
            os.mkfifo(place)
        case "directory":
            place.mkdir()
        case "huge":
            with place.open("wb") as file:
                file.truncate(2**40)
        case "no text":
            place.write_bytes(b"\xff\xfe")


@pytest.mark.parametrize("kind", ["link", "fifo", "directory", "huge", "no text"])
def test_a_key_that_is_no_plain_file_is_refused(kind: str, tmp_path: Path, secret: Path) -> None:
    source, target = tmp_path / "secrets.json", tmp_path / "there"
    _made(kind, source, secret)
    for copy in (panel_backup._copy_private, panel_backup._copy):
        with pytest.raises(Stop):
            copy(source, target)
        assert not target.exists()


def test_a_key_comes_back_as_it_was_and_one_that_was_not_kept_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("of then")
    target = tmp_path / "there"
    panel_backup._copy_private(tmp_path / "a", target, owner=(os.getuid(), os.getgid()))
    panel_backup._copy_private(tmp_path / "not-there", target)
    assert target.read_text() == "of then"
    assert target.stat().st_mode & 0o777 == 0o600


def test_the_key_that_clients_of_the_gateway_know_is_kept() -> None:
    assert "ssh_host_ed25519_key" in panel_backup.KEYS


@pytest.mark.parametrize("named", ["", "--", "--help", "../../x", "latest;id", "LATEST", "a" * 65])
def test_what_names_no_backup_neither_restores_nor_makes_one(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    layout = Layout(tmp_path)
    layout.panel.mkdir(parents=True)
    (layout.panel / "secrets.json").write_text("{}")
    monkeypatch.setattr(panel_backup.os, "geteuid", lambda: 0)
    monkeypatch.setattr(panel_backup.home_check, "is_installation", lambda _: True)
    monkeypatch.setattr(panel_backup, "_restore", lambda *_: done.append("restored"))
    monkeypatch.setattr(panel_backup, "_back_up_noted", lambda *_, **__: done.append("made"))
    monkeypatch.setenv("RESTIC_PASSWORD", "a-long-enough-password")
    with pytest.raises((Stop, SystemExit)):
        panel_backup.panel_backup(layout, ["--repository", str(tmp_path), f"--restore={named}"])
    assert not done

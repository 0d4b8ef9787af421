"""HOME: what is refused before anything is made, and what is never deleted."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.install import home_check
from runtime.install.layout import Layout
from runtime.install.output import Stop

_ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed")


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """One that every user may pass, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="wadah-home-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    ("home", "said"),
    [
        ("/tmp/with space", "letters, digits"),
        ("/tmp/" + "long" * 30, "at most 72"),
        ("/etc", "none of Wadah's"),
        ("/etc/passwd", "not a directory"),
    ],
)
def test_a_place_that_cannot_be_home_is_refused(home: str, said: str) -> None:
    with pytest.raises(Stop, match=said):
        home_check.check(Layout(Path(home)))


def test_a_new_or_empty_directory_is_taken(open_directory: Path) -> None:
    home_check.check(Layout(open_directory))
    home_check.check(Layout(open_directory / "new"))
    assert list(open_directory.iterdir()) == []


def test_a_directory_that_the_panels_user_cannot_reach_is_refused(open_directory: Path) -> None:
    closed = open_directory / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(Stop, match="lets nobody but its owner pass"):
        home_check.check(Layout(closed / "home"))


@pytest.mark.parametrize(
    ("mode", "owner"), [(0o777, 0), pytest.param(0o755, 65534, marks=_ROOT_ONLY), (0o1777, None)]
)
def test_a_directory_in_which_another_user_exchanges_home_is_refused(
    open_directory: Path, mode: int, owner: int | None
) -> None:
    """He would rename it, and root would run the code of his."""
    his = open_directory / "his"
    his.mkdir()
    his.chmod(mode)
    if owner:
        os.chown(his, owner, owner)
    for home in (his, his / "home", his / "a" / "b"):
        if owner is None:  # as /tmp: sticky
            home_check.check(Layout(home))
        else:
            with pytest.raises(Stop, match="could exchange"):
                home_check.check(Layout(home))
    (his / "admin.json").write_text("{}")
    home_check.check(Layout(his))  # one of before comes up again


def test_a_full_disk_is_refused_for_a_new_installation_only(
    open_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home_check.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 300 * 2**20})())
    with pytest.raises(Stop, match="300 MiB free; 2,048 MiB are needed"):
        home_check.check(Layout(open_directory))
    (open_directory / "admin.json").write_text("{}")
    home_check.check(Layout(open_directory))


def test_a_foreign_directory_is_never_deleted(open_directory: Path) -> None:
    (open_directory / "mine").write_text("precious")
    with pytest.raises(Stop, match="left as it is"):
        home_check.delete(Layout(open_directory))
    assert (open_directory / "mine").read_text() == "precious"


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_check, "LOCKS", tmp_path)


@pytest.mark.usefixtures("locks")
def test_two_at_once_are_refused(open_directory: Path) -> None:
    layout = Layout(open_directory)
    with home_check.alone(layout), pytest.raises(Stop, match="at work"), home_check.alone(layout):
        pass
    with home_check.alone(layout):
        pass


@pytest.mark.usefixtures("locks")
def test_homes_with_the_same_letters_do_not_wait_for_each_other() -> None:
    with home_check.alone(Layout(Path("/srv/a/b"))), home_check.alone(Layout(Path("/srv/a-b"))):
        pass


@pytest.mark.usefixtures("locks")
def test_a_lock_that_a_purge_took_away_is_nobodys(open_directory: Path, tmp_path: Path) -> None:
    layout = Layout(open_directory)
    with home_check.alone(layout):
        home_check.forget_lock(layout)
        assert not list(tmp_path.glob("*.lock"))
    with home_check.alone(layout):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="`down` wants root")
def test_down_waits_for_no_up_that_is_at_work(open_directory: Path) -> None:
    layout = Layout(open_directory)
    (layout.home / "admin.json").write_text("{}")
    command = [sys.executable, "-m", "runtime.install", "down", "--purge", "--home", str(layout.home)]
    with home_check.alone(layout):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    home_check.forget_lock(layout)
    assert "at work" in done.stdout + done.stderr
    assert layout.admin_file.exists()


@_ROOT_ONLY
def test_no_other_user_makes_the_lock_first(open_directory: Path) -> None:
    """Held by him it would stop every `up` for ever."""
    file = home_check._lock_of(Layout(open_directory))
    made = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "touch", str(file)], check=False
    )
    assert made.returncode != 0
    assert not file.exists()


def test_a_relative_home_is_meant_from_where_it_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WADAH_FROM", "/srv")
    assert Layout.of("here").home == Path("/srv/here")
    monkeypatch.setenv("WADAH_FROM", "/srv")
    assert Layout.of("/else/where").home == Path("/else/where")


def test_a_directory_with_an_empty_disk_for_a_part_of_it_is_taken(open_directory: Path) -> None:
    (open_directory / "panel" / "lost+found").mkdir(parents=True)
    home_check.check(Layout(open_directory))
    (open_directory / "panel" / "letter").touch()
    with pytest.raises(Stop, match="none of Wadah's"):
        home_check.check(Layout(open_directory))

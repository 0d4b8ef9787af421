"""What a backup of the panel holds, read by root: it may come from anywhere."""

import os
import socket
from contextlib import nullcontext
from pathlib import Path

import pytest

from runtime.install import home_check, panel_backup, restoring, rotate
from runtime.install.front import Front
from runtime.install.layout import Layout
from runtime.install.output import Stop
from runtime.install.panel_schedule import Target


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
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(home_check, "is_installation", lambda _: True)
    monkeypatch.setattr(panel_backup, "_restore", lambda *_: done.append("restored"))
    monkeypatch.setattr(panel_backup, "_back_up_noted", lambda *_, **__: done.append("made"))
    monkeypatch.setenv("RESTIC_PASSWORD", "a-long-enough-password")
    with pytest.raises((Stop, SystemExit)):
        panel_backup.panel_backup(layout, ["--repository", str(tmp_path), f"--restore={named}"])
    assert not done


class Halt(BaseException):
    """As a kill: nothing that comes after is done, nothing is undone."""


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Of an installation whose database is a word in a file, as is that of the backup."""
    made = Layout(tmp_path / "home")
    for place in (made.panel, made.etc, made.log):
        place.mkdir(parents=True)
    (made.panel / "secrets.json").write_text("keys of now")
    (made.panel / "database").write_text("rows of now")
    mine = os.getuid(), os.getgid()

    def found(_: object, __: object, words: list[str]) -> str:
        place = Path(words[3])
        for name, text in (("files/panel/secrets.json", "keys of then"), ("database/x", "rows of then")):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text)
        return '{"at": "then", "panel": "p"}'

    def managed(_: object, *words: str) -> None:
        if words[0] == "load":
            (made.panel / "database").write_text((Path(words[1]) / "x").read_text())

    moments = iter(range(10))
    monkeypatch.setattr("time.strftime", lambda *_: f"then-{next(moments)}")
    monkeypatch.setattr(panel_backup, "_cli", found)
    monkeypatch.setattr(panel_backup, "_manage", managed)
    monkeypatch.setattr(panel_backup, "ids", lambda: mine)
    monkeypatch.setattr(panel_backup, "front_of", lambda _: None)
    for name in ("refuse_supervised_elsewhere", "give_ticket_key", "wait_until_ready"):
        monkeypatch.setattr(panel_backup, name, lambda *_: None)
    monkeypatch.setattr(panel_backup, "write_configuration", lambda *_: None)
    monkeypatch.setattr(panel_backup, "stop_processes", lambda _: True)
    monkeypatch.setattr(
        panel_backup, "_adopt", lambda *_, **__: {one: [] for one in (*panel_backup._SAID, "problems")}
    )
    monkeypatch.setattr(panel_backup, "start_supervisor", lambda one, _: restoring.refuse(one))
    monkeypatch.setattr(home_check, "alone", lambda _: nullcontext())
    return made


def _state(layout: Layout) -> tuple[str, str, str]:
    texts = ((layout.panel / name).read_text() for name in ("secrets.json", "database"))
    return (*texts, restoring.stage_of(layout))  # type: ignore[return-value]


TO = Target("repository", "password", 0, {})


def test_a_restore_that_fails_leaves_all_as_it_was(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object, *words: str) -> None:
        if words[0] == "load":
            raise Stop("damaged")

    monkeypatch.setattr(panel_backup, "_manage", fails)
    with pytest.raises(Stop, match="damaged"):
        panel_backup._restore(layout, TO, "latest")
    assert _state(layout) == ("keys of now", "rows of now", "")
    restoring.refuse(layout)


@pytest.mark.parametrize("at", ["load", "_copy_private", "_adopt"])
def test_after_a_restore_that_was_cut_off_nothing_starts_until_it_is_done(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """A kill in the middle: nothing of ours is run any more."""
    for name in ("clear", "mark"):
        done = getattr(restoring, name)
        monkeypatch.setattr(restoring, name, lambda *given, do=done: None if killed else do(*given))
    killed: list[str] = []

    def halt(*_: object, **__: object) -> None:
        killed.append(at)
        raise Halt

    put_keys = panel_backup._put_keys
    monkeypatch.setattr(panel_backup, "_put_keys", lambda *given: None if killed else put_keys(*given))
    copy = panel_backup._copy_private
    with monkeypatch.context() as then:
        then.setattr(panel_backup, "start_supervisor", lambda *_: None)
        if at == "load":
            work = panel_backup._manage
            then.setattr(panel_backup, "_manage", lambda one, *w: halt() if w[0] == "load" else work(one, *w))
        elif at == "_adopt":
            then.setattr(panel_backup, "_adopt", halt)
        else:
            then.setattr(
                panel_backup,
                "_copy_private",
                lambda one, to, **how: halt() if to == layout.admin_file else copy(one, to, **how),
            )
        with pytest.raises(Halt):
            panel_backup._restore(layout, TO, "latest")
    killed.clear()
    assert _state(layout)[2] == (restoring.PUTTING if at == "load" else restoring.ADOPTING)
    with pytest.raises(Stop, match="cut off"):
        restoring.refuse(layout)
    panel_backup._restore(layout, TO, "latest")
    assert _state(layout) == ("keys of then", "rows of then", "")
    restoring.refuse(layout)


def test_a_restore_beside_what_somebody_else_started_is_none(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role that a unit of systemd started before the mark was there, by its socket."""
    layout.run.mkdir(parents=True, exist_ok=True)
    front = Front("http://127.0.0.1:1", bind=("127.0.0.1",))
    monkeypatch.setattr(rotate, "front_of", lambda _: front)
    rotate.refuse_supervised_elsewhere(layout)
    for name in ("redis", "agent", "ws"):
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(layout.run / f"{name}.sock"))
            rotate.refuse_supervised_elsewhere(layout)  # one that was left behind
            one.listen(1)
            with pytest.raises(Stop, match="supervision"):
                rotate.refuse_supervised_elsewhere(layout)
        (layout.run / f"{name}.sock").unlink()


def test_what_started_between_the_stop_and_the_mark_is_seen(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(one: Layout) -> None:
        if restoring.stage_of(one):
            raise Stop("runs")

    monkeypatch.setattr(panel_backup, "refuse_supervised_elsewhere", refuse)
    with pytest.raises(Stop, match="runs"):
        panel_backup._restore(layout, TO, "latest")
    assert _state(layout) == ("keys of now", "rows of now", "")


def test_of_a_half_restore_no_backup_is_made_and_no_key_exchanged(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    restoring.mark(layout, restoring.PUTTING)
    monkeypatch.setattr(panel_backup, "back_up", lambda *_, **__: pytest.fail("made"))
    with pytest.raises(Stop, match="cut off"):
        panel_backup._back_up_noted(layout, TO, keep=0)
    monkeypatch.setattr(home_check, "is_installation", lambda _: True)
    monkeypatch.setattr(rotate, "front_of", lambda _: None)
    monkeypatch.setattr(rotate, "stop_processes", lambda _: pytest.fail("stopped"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(Stop, match="cut off"):
        rotate.rotate(layout)

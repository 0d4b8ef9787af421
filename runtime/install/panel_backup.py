"""`backup panel`: the panel's database, keys and settings into a repository, and back."""

import argparse
import fcntl
import json
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from getpass import getpass
from pathlib import Path

from runtime.install import home_check, panel_schedule, restoring
from runtime.install.files import put
from runtime.install.front import front_of
from runtime.install.host import ids
from runtime.install.layout import Layout
from runtime.install.output import Stop, line, plain, problem
from runtime.install.panel import manage, wait_until_ready
from runtime.install.roles import environment, write_configuration
from runtime.install.rotate import refuse_supervised_elsewhere
from runtime.install.up import give_ticket_key, start_supervisor, stop_processes

#: Below HOME/panel: what the panel believes and signs with.
KEYS = ("secrets.json", "ticket.pub", "registry.key", "registry.crt", "ssh_host_ed25519_key")
#: Below HOME. Of another machine they may not fit: they come back beside, and nothing follows them by itself.
SETTINGS = ("front.json", "etc/environment", "node/node.json", "etc/panel-backup.json")
_MOST_FILE = 2**20
#: As restic names them.
_BACKUP = re.compile(r"latest|[0-9a-f]{4,64}")
_DUMP_S, _REPOSITORY_S = 4 * 3600.0, 24 * 3600.0


def panel_backup(layout: Layout, words: Sequence[str]) -> int:
    """As `./wadah backup panel` asks for it. Raises `Stop`."""
    options = _parser().parse_args(list(words))
    if os.geteuid() != 0:
        raise Stop("`backup` needs root", "sudo ./wadah backup panel")
    if not home_check.is_installation(layout) or not (layout.panel / "secrets.json").exists():
        raise Stop(f"there is no installation in {layout.home}", "Run `./wadah up` first, or give --home.")
    if options.adopt:
        with _alone(layout):
            stage = restoring.stage_of(layout)
            if stage != restoring.ADOPTING:
                restoring.refuse(layout)
            _tell(_adopt(layout, is_restored=bool(stage)))
            restoring.clear(layout)
        return 0
    if options.daily is not None:
        return _schedule(layout, options)
    to = panel_schedule.read(layout) if options.scheduled else _repository(options)
    if to is None:
        raise Stop("no backup of the panel is scheduled", "./wadah backup panel --daily 03:00 --repository …")
    if options.restore is not None:
        if not _BACKUP.fullmatch(str(options.restore)):
            raise Stop("a backup is named by its id, or `latest`", "`./wadah backup list` says what there is.")
        _restore(layout, to, options.restore)
    else:
        _back_up_noted(layout, to, keep=options.keep or to.keep)
    return 0


def _back_up_noted(layout: Layout, to: panel_schedule.Target, *, keep: int) -> None:
    """What came of it stands where `doctor` looks."""
    try:
        restoring.refuse(layout)  # it would be a backup of what doesn't belong together
        back_up(layout, to, keep=keep)
    except Stop as stop:
        panel_schedule.note(layout, str(stop))
        raise
    panel_schedule.note(layout, "")


def _parser() -> argparse.ArgumentParser:
    one = argparse.ArgumentParser(
        prog="./wadah backup panel",
        description="Database, keys and settings of the panel, in an encrypted repository, which is made where"
        " there is none.",
    )
    one.add_argument("--repository", help="DIRECTORY, s3:https://HOST/BUCKET/PREFIX or sftp://USER@HOST/PATH")
    one.add_argument("--password-file", help="asked for, or taken from RESTIC_PASSWORD, where no file has it")
    one.add_argument(
        "--restore", metavar="ID", help="put that one (or `latest`) in place; what a node has besides stays"
    )
    one.add_argument(
        "--daily", metavar="HH:MM", help="one a day at that time (UTC), with this repository; never: none"
    )
    one.add_argument("--keep", type=int, default=0, metavar="N", help="so many of the newest stay (0: all)")
    one.add_argument("--adopt", action="store_true", help="take in what this node has and the database doesn't")
    one.add_argument("--scheduled", action="store_true", help=argparse.SUPPRESS)
    return one


def _repository(options: argparse.Namespace) -> panel_schedule.Target:
    if not options.repository:
        raise Stop("where to is not said", "--repository DIRECTORY, s3:… or sftp://…")
    if options.keep < 0:
        raise Stop("--keep is a number of backups, 0 or more")
    from_ = Path(os.environ.get("WADAH_FROM", ".")).absolute()
    if options.password_file:
        try:
            password = (from_ / options.password_file).read_text().strip()
        except OSError as error:
            raise Stop(f"{options.password_file} can't be read: {error.strerror}") from error
    else:
        password = os.environ.get("RESTIC_PASSWORD") or getpass("Password: ")
    if len(password) < panel_schedule.LEAST_PASSWORD:
        raise Stop(f"the password of a repository has {panel_schedule.LEAST_PASSWORD} letters at least")
    where = options.repository if "://" in options.repository else str(from_ / options.repository)
    return panel_schedule.Target(where, password, options.keep, panel_schedule.opening(os.environ, from_))


def _schedule(layout: Layout, options: argparse.Namespace) -> int:
    if options.daily == "never":
        panel_schedule.forget(layout)
        line("no backup of the panel is made by itself any more")
        return 0
    at = panel_schedule.minute_of(options.daily)
    to = _repository(options)
    _back_up_noted(layout, to, keep=to.keep)  # what doesn't work by day doesn't by night
    panel_schedule.keep(layout, to, at)
    line(f"one more each day at {options.daily} UTC, by the node's agent")
    return 0


# making one --------------------------------------------------------------------------------------


def back_up(layout: Layout, to: panel_schedule.Target, *, keep: int) -> None:
    """While everything goes on."""
    with _staging(layout) as staging:
        dump, kept = staging / "database", staging / "files"
        _for_the_panel(dump)
        _manage(layout, "dump", str(dump))
        for name in (*(f"panel/{one}" for one in KEYS), *SETTINGS, "admin.json"):
            _copy(layout.home / name, kept / name)
        words = ["backup", "put", str(staging), "--keep", str(keep), "--repository", to.repository]
        made = json.loads(_cli(layout, to, words))
    gone = f", {made['gone']} older ones gone" if made["gone"] else ""
    line(f"backup {made['id']} of the panel: {made['bytes']:,} bytes, {made['added_bytes']:,} new{gone}")


@contextmanager
def _staging(layout: Layout) -> Iterator[Path]:
    """Root's, which the panel's user may pass; one at a time."""
    place_ = layout.home / "panel-backup"
    with _alone(layout):
        shutil.rmtree(place_, ignore_errors=True)
        place_.mkdir(mode=0o710)
        os.chown(place_, 0, ids()[1])
        try:
            yield place_
        finally:
            shutil.rmtree(place_, ignore_errors=True)


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    descriptor = os.open(layout.etc / ".panel-backup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Stop(
                "another backup or restore of the panel is at work", "Wait until it has ended."
            ) from None
        yield
    finally:
        os.close(descriptor)


def _for_the_panel(directory: Path) -> None:
    uid, gid = ids()
    directory.mkdir(mode=0o700)
    os.chown(directory, uid, gid)


def _copy(source: Path, target: Path) -> None:
    """A file that is there, as text of root's alone. Of one that the panel's user may exchange no link is
    followed."""
    text = _plain_text(source)
    if text is None:
        return
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    put(target, text, mode=0o600)


def _plain_text(source: Path) -> str | None:
    """None of what isn't there. Raises `Stop` for what is no plain file, or longer than any of ours."""
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as odd:
        raise Stop(f"{source} can't be read: {odd.strerror}") from odd
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode) or seen.st_size > _MOST_FILE:
            raise Stop(f"{source} is no plain file of at most {_MOST_FILE} bytes")
        return os.read(descriptor, _MOST_FILE).decode()
    except UnicodeDecodeError as odd:
        raise Stop(f"{source} is no text") from odd
    finally:
        os.close(descriptor)


def _cli(layout: Layout, to: panel_schedule.Target, words: Sequence[str], *, text: str | None = None) -> str:
    """The node's half, which has restic in a container. Raises `Stop` with its sentences."""
    seen = {**environment(layout, front_of(layout)), **to.opens, "RESTIC_PASSWORD": to.password}
    return _spoken([layout.python, "-m", "runtime.cli", "--home", str(layout.home), *words], layout, seen, text)


def _spoken(words: Sequence[str], layout: Layout, seen: Mapping[str, str], text: str | None) -> str:
    done = subprocess.run(
        list(words),
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        capture_output=True,
        env=dict(seen),
        cwd=layout.app,
        timeout=_REPOSITORY_S,
        check=False,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        raise _said_by(done.stderr, done.returncode)
    return done.stdout


def _said_by(text: str, code: int) -> Stop:
    """The refusal of a command of ours: its sentence, and what to do."""
    lines = [one.strip() for one in text.strip().splitlines() if one.strip()]
    for number, one in enumerate(lines):
        for mark in ("wadah node: ", "CommandError: "):
            if one.startswith(mark):
                return Stop(one.removeprefix(mark), " ".join(lines[number + 1 :]))
    return Stop(lines[-1] if lines else f"it ended with {code}")


def _manage(layout: Layout, *words: str) -> None:
    try:
        manage(layout, front_of(layout), *words, timeout_s=_DUMP_S)
    except Stop as stop:
        raise _said_by(str(stop), 1) from stop


# restoring one -----------------------------------------------------------------------------------


def _restore(layout: Layout, to: panel_schedule.Target, backup: str) -> None:
    """What was there is kept in HOME/before-TIME. Environments go on meanwhile."""
    with home_check.alone(layout), _staging(layout) as staging:
        found = staging / "found"
        found.mkdir(mode=0o710)
        words = ["backup", "get", backup, str(found), "--repository", to.repository]
        said = json.loads(_cli(layout, to, words))
        line(f"backup of {said['at']} UTC, made by {said['panel']}")
        if not (found / "files/panel/secrets.json").is_file():
            raise Stop("it holds no keys of a panel", "Choose another: ./wadah backup list")
        ran = stop_processes(layout)
        refuse_supervised_elsewhere(layout)
        before = layout.home / f"before-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
        was_cut_off = restoring.stage_of(layout)
        try:
            _put_in_place(layout, found, before, staging)
        except BaseException:
            if not was_cut_off and restoring.stage_of(layout) != restoring.ADOPTING:
                restoring.clear(layout)  # all is as it was
                if ran:
                    start_supervisor(layout, front_of(layout))
            raise
        _lay_beside(layout)
        restoring.clear(layout)
        if ran:
            start_supervisor(layout, front_of(layout))
    if ran:
        wait_until_ready(layout, front_of(layout))
        line("front, web, workers, node agent")
    line(f"what was there, and settings of then: {before}")
    plain("Everybody signs in anew. API tokens and members that were taken out since are there again: look.")


def _put_in_place(layout: Layout, found: Path, before: Path, staging: Path) -> None:
    """Database and keys, or nothing of them."""
    before.mkdir(mode=0o700)
    _keep_what_is_there(layout, before, staging)
    for path, _, names in os.walk(found / "database"):
        for one in (Path(path), *(Path(path) / name for name in names)):
            os.chown(one, *ids(), follow_symlinks=False)
    os.chown(found, 0, ids()[1])
    restoring.mark(layout, restoring.PUTTING)
    try:
        refuse_supervised_elsewhere(layout)  # what somebody started before the mark was there
        _put_keys(layout, found / "files")
        _manage(layout, "load", str(found / "database"))
    except BaseException:
        _put_keys(layout, before)
        raise
    restoring.mark(layout, restoring.ADOPTING)
    line("database and keys")
    _copy_private(found / "files/admin.json", layout.admin_file)
    for name in SETTINGS:
        _copy(found / "files" / name, before / "settings-of-then" / name)
    give_ticket_key(layout)
    write_configuration(layout, front_of(layout))


def _lay_beside(layout: Layout) -> None:
    """Before anything runs that could give an address away which the node has given already."""
    try:
        _tell(_adopt(layout, is_restored=True))
    except Stop as stop:
        raise Stop(
            f"the database is in place; what the node has besides wasn't taken in, and nothing runs: {stop}",
            "./wadah backup panel --adopt, and then ./wadah up",
        ) from stop


def _keep_what_is_there(layout: Layout, before: Path, staging: Path) -> None:
    for name in (*(f"panel/{one}" for one in KEYS), "admin.json"):
        _copy(layout.home / name, before / name)
    dump = staging / "before"
    _for_the_panel(dump)
    try:
        _manage(layout, "dump", str(dump))
    except Stop as stop:
        problem(f"the database that is there can't be kept: {str(stop).splitlines()[-1]}")
        return
    dump.rename(before / "database")


def _put_keys(layout: Layout, files: Path) -> None:
    uid, gid = ids()
    for name in KEYS:
        with suppress(FileNotFoundError):
            _copy_private(files / "panel" / name, layout.panel / name, owner=(uid, gid))
            if name == "ticket.pub":
                (layout.panel / name).chmod(0o644)


def _copy_private(source: Path, target: Path, *, owner: tuple[int, int] = (0, 0)) -> None:
    """Of what a repository had, whatever has the name: a link leads to no file of the host."""
    text = _plain_text(source)
    if text is not None:
        put(target, text, mode=0o600, owner=owner)


# what the node has besides -----------------------------------------------------------------------


def _adopt(layout: Layout, *, is_restored: bool) -> dict[str, list[str]]:
    """The node's records laid beside the database: nothing on the node changes by it."""
    seen = environment(layout, front_of(layout))
    told = _spoken([layout.python, "-m", "runtime.cli", "--home", str(layout.home), "told"], layout, seen, None)
    uid, gid = ids()
    words = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs", layout.python]
    words += [str(layout.app / "manage.py"), "adopt", *(["--restored"] if is_restored else [])]
    said = _spoken(words, layout, seen, told)
    found: dict[str, list[str]] = json.loads(said.strip().splitlines()[-1])
    return found


_SAID = {
    "adopted": "environments that the database didn't know, taken in",
    "renewed": "environments that the node knew more of",
    "deleted": "environments that were deleted since",
    "tenants": "tenants made anew for them, without members",
    "volumes": "volumes taken in",
    "strange": "volumes of nobody who is known, left as they are",
    "draining": "nodes that get nothing new until you say so",
}


def _tell(taken: dict[str, list[str]]) -> None:
    for name, words in _SAID.items():
        if taken[name]:
            line(f"{words}: {', '.join(taken[name][:20])}{' …' if len(taken[name]) > 20 else ''}")
    for one in taken["problems"]:
        problem(one)
    if not any(taken.values()):
        line("the node has nothing that the database doesn't know")

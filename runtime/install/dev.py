"""`dev`: the panel with a node on paper, without root and Debian packages, for people who change pages and
panel code. What changes is taken up by itself.

State is in `.dev/` of the checkout. Every process is a child of this one, and ends with it.
"""

import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from runtime.install.host import run
from runtime.install.layout import CHECKOUT
from runtime.install.output import Stop, line, plain
from runtime.install.testing import VENV, prepare

PORT = 8000
#: Shows that a directory is a state of ours, and may be deleted by `--reset`.
MARKER = "dev.lock"
READY_DEADLINE_S, SEED_DEADLINE_S, END_DEADLINE_S = 60.0, 90.0, 5.0
#: Between two looks at whether a file changed.
LOOK_S = 0.5
#: Of a socket's path (unix(7)), less the longest name of one.
_LONGEST_STATE = 107 - len("/run/.agent.sock.4194304")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass(frozen=True)
class Role:
    name: str
    command: tuple[str, ...]
    sources: tuple[str, ...] = ()
    """Where a file that changes has it start anew: directories, and how their files end."""


def roles(home: Path, port: int) -> tuple[Role, ...]:
    """In the order of starting; stopping goes backwards."""
    python, run_at = str(VENV / "bin" / "python"), home / "run"
    redis = (
        "redis-server",
        "--port",
        "0",
        "--unixsocket",
        str(run_at / "redis.sock"),
        "--unixsocketperm",
        "600",
    )
    worker = ("-m", "celery", "-A", "panel.config.celery", "worker", "-B", "-P", "threads", "-c", "4")
    quiet = ("-l", "warning", "--without-gossip", "--without-mingle", "--without-heartbeat")
    panel = ("panel", "runtime/contract")
    return (
        Role("redis", (*redis, "--save", "", "--appendonly", "no", "--dir", str(home))),
        Role("node", (python, "-m", "tests.paper.node", "--home", str(home)), ("runtime", "tests/paper")),
        Role("web", (python, "-m", "tests.paper.web", "--port", str(port)), (*panel, "tests/paper")),
        Role("worker", (python, *worker, "-Q", "panel,reports", "-n", "panel@local", *quiet), panel),
    )


def dev(directory: Path, *, port: int, reset: bool) -> int:
    """Until Ctrl-C, SIGTERM or the end of the terminal."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with _only_one(directory, reset=reset), _short(directory) as home:
        _refuse_taken(port)
        environment = _environment(prepare({}), home, port)
        bench = Bench(home, port, environment)
        try:
            bench.start(bench.roles[0])
            admin = _administrator(home, environment)
            line("database")
            bench.start(*bench.roles[1:])
            bench.wait_until_ready()
            line(f"http://127.0.0.1:{port}  {admin['username']}  {admin['password']}")
            _seed(home, environment)
            plain("Pages, panel and paper node follow what you change. Ctrl-C ends all.")
            bench.follow()
        except KeyboardInterrupt:
            plain()
        finally:
            bench.end()
            line("ended")
    return 0


@contextlib.contextmanager
def _only_one(directory: Path, *, reset: bool) -> Iterator[None]:
    """The directory is there and is ours alone meanwhile."""
    marker = directory / MARKER
    if directory.exists() and any(directory.iterdir()) and not marker.exists():
        raise Stop(f"{directory} holds something else; it is left as it is", "Give another --home.")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with marker.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Stop(f"`dev` runs in {directory} already", "End that one, or give another --home.") from None
        if reset:
            for entry in directory.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)
                elif entry != marker:
                    entry.unlink()
        for name in ("run", "log"):
            (directory / name).mkdir(mode=0o700, exist_ok=True)
        for left in (*(directory / "run").glob("*.sock"), *(directory / "log").iterdir()):
            left.unlink()
        yield


@contextlib.contextmanager
def _short(directory: Path) -> Iterator[Path]:
    """The directory by a path that sockets can have."""
    if len(os.fsencode(directory)) <= _LONGEST_STATE:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="wadah-dev-") as temporary:
        link = Path(temporary) / "home"
        link.symlink_to(directory)
        yield link


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as taken:
            why = taken.strerror if isinstance(taken, OSError) else "there is no such port"
            raise Stop(f"port {port} can't be had: {why}", "./wadah dev --port N takes another one.") from taken


def _environment(tools: dict[str, str], home: Path, port: int) -> dict[str, str]:
    """Nothing of an installation's settings is in it: `prepare` left those out."""
    return {
        **{key: value for key, value in tools.items() if key != "DATABASE_URL"},
        "DJANGO_SETTINGS_MODULE": "panel.config.settings",
        "PYTHONUNBUFFERED": "1",
        "WADAH_HOME": str(home),
        "WADAH_URL": f"http://127.0.0.1:{port}",
        "WADAH_DEBUG": "1",
    }


def _administrator(home: Path, environment: dict[str, str]) -> dict[str, str]:
    """Name, password and token, made with the database at the first start and kept in admin.json. Later the
    database is only brought up to migrations that have changed."""
    file, migrated = home / "admin.json", home / "migrations.json"
    known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    migrations = json.dumps({name: at for name, at in _stamps().items() if "/migrations/" in name})
    if known and migrated.exists() and migrated.read_text() == migrations:
        return known
    password = known.get("password") or "-".join(secrets.token_hex(3) for _ in range(3))
    more = {"WADAH_ADMIN_PASSWORD": password, "WADAH_ADMIN_TOKEN": known.get("token", "")}
    words = [str(VENV / "bin" / "python"), "-m", "tests.paper.begin"]
    said = run(words, timeout_s=180, environment={**environment, **more}, cwd=CHECKOUT)
    made = {**json.loads(said.strip().splitlines()[-1]), "password": password}
    migrated.write_text(migrations)
    file.touch(mode=0o600)
    file.write_text(json.dumps(made, indent=2) + "\n")
    return made


def _seed(home: Path, environment: dict[str, str]) -> None:
    """Tenants and environments to look at, once; whoever deletes them has them deleted."""
    done = home / "seeded"
    if done.exists():
        return
    words = [str(VENV / "bin" / "python"), "-m", "tests.paper.seed"]
    try:
        run(words, timeout_s=SEED_DEADLINE_S, environment=environment, cwd=CHECKOUT)
    except Stop as refused:
        line(f"nothing to look at: {str(refused).splitlines()[-1]}", "!")
        return
    done.touch()
    line("two tenants and a dozen environments to look at")


class Bench:
    """The processes, and what has them start anew."""

    def __init__(self, home: Path, port: int, environment: dict[str, str]):
        self.roles, self._port = roles(home, port), port
        self._home, self._environment = home, environment
        self._running: dict[Role, subprocess.Popen[bytes]] = {}
        self._told_dead: set[Role] = set()
        self._seen = _stamps()
        self._awaits = 0.0
        """Since when the web process is starting anew; 0: it isn't."""
        self._shown = 0
        """Of what the panel's web process wrote, in bytes."""

    # processes -----------------------------------------------------------------------------------

    def start(self, *wanted: Role) -> None:
        for role in wanted:
            with self._log(role) as log:
                self._running[role] = subprocess.Popen(
                    role.command,
                    cwd=CHECKOUT,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=_ends_with_parent,  # noqa: PLW1509
                )
            self._told_dead.discard(role)

    def _log(self, role: Role) -> IO[bytes]:
        return (self._home / "log" / f"{role.name}.log").open("ab")

    def stop(self, *unwanted: Role) -> None:
        """At once, each with all of its own; whoever doesn't end soon is killed."""
        going = [(role, self._running.pop(role)) for role in unwanted if role in self._running]
        for _, process in going:
            process.terminate()
        until = time.monotonic() + END_DEADLINE_S
        for _, process in going:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def end(self) -> None:
        """Redis last, which the others work with. Nothing interrupts it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self.stop(*self.roles[1:])
        self.stop(self.roles[0])
        for left in (self._home / "run").glob("*.sock"):
            left.unlink()

    def wait_until_ready(self) -> None:
        """Until the sign-in page is there. Raises `Stop` with the end of the log of whoever failed."""
        until = time.monotonic() + READY_DEADLINE_S
        while time.monotonic() < until:
            for role in self.roles:
                if self._running[role].poll() is not None:
                    raise Stop(f"{role.name} ended: {self._last_line(role)}", f"See {self._log(role).name}.")
            if self._answers():
                return
            time.sleep(0.1)
        raise Stop(f"the sign-in page wasn't there within {READY_DEADLINE_S:g} s", f"See {self._home}/log.")

    def _answers(self) -> bool:
        """Whether the sign-in page is there."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/accounts/login/")
            return connection.getresponse().status == 200
        return False

    def _last_line(self, role: Role) -> str:
        said = Path(str(self._log(role).name)).read_text(errors="replace").strip().splitlines()
        return said[-1][:300] if said else "without a word"

    # changes -------------------------------------------------------------------------------------

    def follow(self) -> None:
        """Until interrupted."""
        while True:
            time.sleep(LOOK_S)
            self._take_up_changes()
            self._show_web()
            if self._awaits and self._answers():
                plain(f"web answers again ({time.monotonic() - self._awaits:.1f} s)")
                self._awaits = 0.0
            for role, process in self._running.items():
                if process.poll() is not None and role not in self._told_dead:
                    self._told_dead.add(role)
                    plain(f"{role.name} ended: {self._last_line(role)}")
                    plain(f"→ See {self._log(role).name}; it starts with the next change.")

    def _show_web(self) -> None:
        """Tracebacks of pages, and mails, where one sees them."""
        with (self._home / "log" / "web.log").open("rb") as log:
            log.seek(self._shown)
            fresh = log.read()
        self._shown += len(fresh)
        if fresh.strip():
            plain(fresh.decode(errors="replace").rstrip())

    def _take_up_changes(self) -> None:
        now = _stamps()
        changed = {name for name in now.keys() | self._seen.keys() if now.get(name) != self._seen.get(name)}
        self._seen = now
        if not changed:
            return
        if any(name.endswith((".po", ".html", ".js")) for name in changed):
            self._run("panel.config.vendor")
        affected = [role for role in self.roles if self._is_of(role, changed)]
        if not affected:
            return
        began = time.monotonic()
        self.stop(*affected)
        if any("/migrations/" in name for name in changed):
            self._run("manage", "prepare", "--keep-static")
        self.start(*affected)
        names = ", ".join(role.name for role in affected)
        plain(f"{min(changed)} changed: {names} anew")
        self._awaits = began if any(role.name == "web" for role in affected) else 0.0

    def _is_of(self, role: Role, changed: set[str]) -> bool:
        endings = (".py", ".po")
        return any(
            name.startswith(f"{where}/") and name.endswith(endings)
            for where in role.sources
            for name in changed
        )

    def _run(self, *words: str) -> None:
        """What it refuses is shown; the next change tries again."""
        python = str(VENV / "bin" / "python")
        try:
            run([python, "-m", *words], timeout_s=180, environment=self._environment, cwd=CHECKOUT)
        except Stop as refused:
            plain(str(refused))


def _ends_with_parent() -> None:
    """In the child: it is told to end when `dev` is killed."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _stamps() -> dict[str, int]:
    """When each source of the checkout was written last, by its path."""
    found: dict[str, int] = {}
    waiting = [CHECKOUT / name for name in ("panel", "runtime", "templates", "static/js", "tests/paper")]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != "__pycache__":
                        waiting.append(Path(entry.path))
                elif entry.name.endswith((".py", ".po", ".html", ".js")):
                    name = os.path.relpath(entry.path, CHECKOUT)
                    found[name] = entry.stat().st_mtime_ns
    return found

"""Where an installation keeps things, and the copy of the code that it runs."""

import compileall
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from runtime.install.host import DOMAINS_USER, ids

CHECKOUT = Path(__file__).resolve().parent.parent.parent
#: What of the checkout an installation runs from. It is copied to HOME/app, since the panel's user may
#: not be able to read a checkout below /root.
CODE = ("panel", "runtime", "templates", "static", "manage.py", "tests/bench")
DEFAULT_HOME = "/var/lib/wadah"


#: Below HOME; as `runtime.contract.domain.ACCESS_LOG`, which Python alone can't import.
ACCESS_LOG = "domains/log/access.log"


@dataclass(frozen=True)
class Layout:
    home: Path

    @classmethod
    def of(cls, home: str | None) -> "Layout":
        """`home`, else `WADAH_HOME`, else the default; relative to where the command was called."""
        called_from = Path(os.environ.pop("WADAH_FROM", "."))
        return cls((called_from / (home or os.environ.get("WADAH_HOME") or DEFAULT_HOME)).resolve())

    @property
    def app(self) -> Path:
        return self.home / "app"

    @property
    def venv(self) -> Path:
        return self.home / "venv"

    @property
    def python(self) -> str:
        return str(self.venv / "bin" / "python")

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def etc(self) -> Path:
        """Configuration that root writes and the panel's user reads."""
        return self.home / "etc"

    @property
    def log(self) -> Path:
        return self.home / "log"

    @property
    def panel(self) -> Path:
        return self.home / "panel"

    @property
    def admin_file(self) -> Path:
        return self.home / "admin.json"

    @property
    def settings_file(self) -> Path:
        """Address and port of the front, kept from one `up` to the next."""
        return self.home / "front.json"

    @property
    def processes_file(self) -> Path:
        return self.run / "processes.json"

    @property
    def supervisor_file(self) -> Path:
        return self.run / "supervisor.pid"

    def make(self, *, has_domains: bool = False) -> None:
        """Directories with their owners and modes; a no-op where they are right.

        `has_domains`: the user of that front may pass through HOME to what is his, and list nothing.
        """
        uid, gid = ids()
        mode = 0o751 if has_domains else 0o750
        self.home.mkdir(mode=mode, parents=True, exist_ok=True)
        os.chown(self.home, 0, gid)
        self.home.chmod(mode)
        for path, owner, mode in (
            # sockets of the panel's user stand beside root's files, which he can't take away or rename
            (self.run, 0, 0o1770),
            (self.log, 0, 0o750),
            (self.etc, 0, 0o750),
            (self.panel, uid, 0o750),
            (self.home / "redis", uid, 0o750),
            (self.home / "front", uid, 0o750),
        ):
            path.mkdir(mode=mode, exist_ok=True)
            os.chown(path, owner, gid)
            path.chmod(mode)
        if has_domains:
            self._make_domains()

    def _make_domains(self) -> None:
        """The front's own, of which the panel reads the log and writes the table."""
        uid, gid = ids()
        own_uid, own_gid = ids(DOMAINS_USER)
        for name, owner, group, mode in (
            ("", 0, gid, 0o751),
            ("store", own_uid, own_gid, 0o700),
            ("run", own_uid, own_gid, 0o700),
            ("log", own_uid, gid, 0o2750),
            ("table", uid, own_gid, 0o2750),
        ):
            path = self.home / "domains" / name
            path.mkdir(mode=mode, exist_ok=True)
            os.chown(path, owner, group)
            path.chmod(mode)
        log = self.home / ACCESS_LOG
        log.touch(mode=0o640)  # the next one gets this one's mode when it is rotated
        os.chown(log, own_uid, gid)
        log.chmod(0o640)

    def copy_code(self) -> bool:
        """Puts this checkout's code into HOME/app; False when it is the same already."""
        stamp = self.app / ".stamp"
        wanted = _digest(CHECKOUT)
        if stamp.exists() and stamp.read_text() == wanted:
            return False
        fresh = self.home / "app.new"
        shutil.rmtree(fresh, ignore_errors=True)
        ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "node_modules")
        for name in CODE:
            source = CHECKOUT / name
            if source.is_dir():
                shutil.copytree(source, fresh / name, ignore=ignore)
            elif source.exists():
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, fresh / name)
        # processes write no bytecode: the panel's user may not, and what root runs stays as it is
        compileall.compile_dir(fresh, quiet=2, stripdir=fresh, prependdir=self.app)
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        (fresh / ".stamp").write_text(wanted)
        old = self.home / "app.old"
        shutil.rmtree(old, ignore_errors=True)
        if self.app.exists():
            self.app.rename(old)
        fresh.rename(self.app)
        shutil.rmtree(old, ignore_errors=True)
        return True


def _digest(checkout: Path) -> str:
    """Changes when any file that is copied does: names, sizes and times."""
    seen = hashlib.sha256()
    for name in CODE:
        source = checkout / name
        files = sorted(source.rglob("*")) if source.is_dir() else [source]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                stat = file.stat()
                seen.update(f"{file.relative_to(checkout)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return seen.hexdigest()

"""A PostgreSQL of the tests' own: a cluster in a temporary directory, on a unix socket only."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.install.host import ensure_user

#: Whom the server runs as: it refuses root.
USER = "wadah"


def binaries() -> Path | None:
    """Directory of the newest installed server; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return found[-1] if found else None


@contextmanager
def postgresql() -> Iterator[str]:
    """Yields the `DATABASE_URL` of an empty database; skips where no server is installed."""
    where = binaries()
    if where is None:
        pytest.skip("no PostgreSQL server is installed: apt-get install postgresql")
    ensure_user()
    home = Path(tempfile.mkdtemp(prefix="wadah-pg-"))
    shutil.chown(home, USER, USER)

    def run(*words: str) -> None:
        command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *words]
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            command, cwd=home, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}"

    try:
        run(
            str(where / "initdb"),
            "-D",
            str(home / "data"),
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        )
        options = f"-c listen_addresses= -c unix_socket_directories={home} -c fsync=off -c max_connections=300"
        run(
            str(where / "pg_ctl"),
            "-D",
            str(home / "data"),
            "-l",
            str(home / "log"),
            "-o",
            options,
            "-w",
            "start",
        )
        run(str(where / "createdb"), "-h", str(home), "-U", USER, "wadah")
        yield f"postgresql://{USER}@{str(home).replace('/', '%2F')}/wadah"
    finally:
        if (home / "data" / "postmaster.pid").exists():
            run(str(where / "pg_ctl"), "-D", str(home / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(home, ignore_errors=True)

"""The Python packages of an installation: a virtual environment filled from a lock with hashes."""

import hashlib
import os
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

from runtime.install.host import install_packages, run
from runtime.install.layout import CHECKOUT
from runtime.install.output import Stop

#: Before it is tried again when nothing could be fetched.
PAUSES_S = (5, 20)


def ensure(directory: Path, lock: Path, *, beside: bool = False) -> bool:
    """A virtual environment with exactly the locked packages; False when it is so already.

    `beside`: these are added to what another lock put there.

    By uv where it can be had: from what it keeps of earlier installations (1 s, without any network), else
    from the index (3 s); else by pip with the same lock (20 s). All check every hash. An index that is away
    for a moment is asked again.
    """
    stamp = directory / (f"{lock.stem}.sha256" if beside else "lock.sha256")
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest() + f" {sys.version_info[:2]}"
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    python = directory / "bin" / "python"
    if not python.exists():
        run([sys.executable, "-m", "venv", "--without-pip", str(directory)], timeout_s=120)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    for pause_s in (*PAUSES_S, None):
        try:
            _fill(python, lock, environment, "install" if beside else "sync")
            break
        except Stop:
            if pause_s is None:
                raise
            time.sleep(pause_s)
    if not beside:  # what was there beside it is gone
        for other in directory.glob("*.sha256"):
            other.unlink()
    stamp.write_text(wanted)
    return True


def _fill(python: Path, lock: Path, environment: dict[str, str], verb: str) -> None:
    """One try of each way. Raises `Stop` with what the last one said."""
    uv = _uv(python, environment)
    if uv is not None:
        file = ["-r", str(lock)] if verb == "install" else [str(lock)]
        command = ["pip", verb, "-q", "--python", str(python), "--require-hashes", "--compile-bytecode", *file]
        for more in (["--offline"], []):
            with suppress(Stop):
                run([str(uv), *command, *more], timeout_s=600, environment=environment)
                return
    _pip(python)
    run(
        [str(python), "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "-r", str(lock)],
        timeout_s=1200,
        environment=environment,
    )


def _uv(python: Path, environment: dict[str, str]) -> Path | None:
    """The checkout's own, the machine's, or a new one in the virtual environment; None: none is to be had."""
    own = CHECKOUT / ".venv" / "bin" / "uv"
    found = own if own.exists() else shutil.which("uv")
    if found is None:
        _pip(python)
        try:
            run([str(python), "-m", "pip", "install", "-q", "uv"], timeout_s=180, environment=environment)
        except Stop:
            return None
        found = python.with_name("uv")
    return Path(found)


def _pip(python: Path) -> None:
    """Puts pip in: what takes longest of making an environment, and where there is uv nobody needs it."""
    if python.with_name("pip3").exists():
        return
    try:
        import ensurepip  # noqa: F401, PLC0415
    except ImportError:
        install_packages({"/usr/share/doc/python3-venv": "python3-venv"})
    run([str(python), "-m", "ensurepip", "--default-pip"], timeout_s=120)

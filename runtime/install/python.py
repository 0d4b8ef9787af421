"""The Python packages of an installation: a virtual environment filled from a lock with hashes."""

import hashlib
import os
import sys
from pathlib import Path

from runtime.install.host import install_packages, run
from runtime.install.say import Stop


def ensure(directory: Path, lock: Path) -> bool:
    """A virtual environment with exactly the locked packages; False when it is so already.

    By uv where it can be had (3 s), else by pip with the same lock (20 s). Both check every hash.
    """
    stamp = directory / "lock.sha256"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest() + f" {sys.version_info[:2]}"
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    python = directory / "bin" / "python"
    if not python.exists():
        try:
            import ensurepip  # noqa: F401, PLC0415
        except ImportError:
            install_packages({"/usr/share/doc/python3-venv": "python3-venv"})
        run([sys.executable, "-m", "venv", str(directory)], timeout_s=120)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    try:
        run([str(python), "-m", "pip", "install", "-q", "uv"], timeout_s=180, environment=environment)
        run(
            [str(directory / "bin" / "uv"), "pip", "sync", "-q", "--python", str(python),
             "--require-hashes", "--compile-bytecode", str(lock)],
            timeout_s=600,
            environment=environment,
        )  # fmt: skip
    except Stop:
        run(
            [str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", str(lock)],
            timeout_s=1200,
            environment=environment,
        )
    stamp.write_text(wanted)
    return True

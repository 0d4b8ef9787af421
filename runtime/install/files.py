"""Files that root writes where the panel's user may write too: whatever lies there under the name is replaced,
never followed. So whoever takes over the panel gains nothing by a link in his own directories."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO


def put(path: Path, text: str, *, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> None:
    """The whole file in one step; on any error the old one stays and nothing is left."""
    fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(fd, "w") as file:
            file.write(text)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
        Path(name).replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def append(path: Path) -> IO[bytes]:
    """Opened at its end; OSError (ELOOP) when the name is a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o640), "ab")

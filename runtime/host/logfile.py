"""Files of logs that don't grow without end, whoever writes to them. Standard library only."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

FILE_BYTES = 8 * 2**20


def keep_small(file: Path, most: int = FILE_BYTES) -> bool:
    """Begins a log anew that has grown beyond `most` bytes, and keeps what it held beside it, once. Its writers
    go on: they have it open to append. False when it is small, or isn't there."""
    try:
        fd = os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    with os.fdopen(fd, "r+b") as log:
        if os.fstat(fd).st_size <= most:
            return False
        log.seek(-most, os.SEEK_END)
        kept = file.with_name(f"{file.name}.1")
        with suppress(FileNotFoundError):
            kept.unlink()
        mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(kept, mode, 0o640), "wb") as copy:
            shutil.copyfileobj(log, copy)
        os.ftruncate(fd, 0)
    return True

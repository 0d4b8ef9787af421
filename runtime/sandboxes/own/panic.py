"""What a kernel said on its console when it gave up."""

import os
import re
from contextlib import suppress
from pathlib import Path
from signal import SIGABRT

#: The kernel ends itself by abort(3).
EXIT_PANIC = 128 + SIGABRT
#: Of the console's log: after its panic a kernel says where, and no more.
_TAIL_BYTES, _MOST = 64 * 1024, 200
_PANIC = re.compile(r"Kernel panic - not syncing: ([^\r\n]*)")


def panic_in(log: Path) -> str:
    """The reason in the log's last panic, in letters that are seen; empty without one. Anybody at the console
    can write such a line: it is shown, and nothing follows from it."""
    text = ""
    with suppress(OSError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    found = _PANIC.findall(text)
    return "".join(one for one in found[-1] if one.isprintable())[:_MOST].strip() if found else ""

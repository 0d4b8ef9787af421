"""Words that a kernel of one's own is started with: of those that there are, the ones that stay within it.

Left out is what says where its disk, memory, console and first program are, which the node says, and what it
does when it has given up, by which the node knows that it has.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import StringConstraints

MOST_BOOT_WORDS = 16
#: The system's own word for one person at the console and nothing started. Its init hears it too.
SINGLE_USER: Final = "single"
#: Nobody loads a module into it, once it has those that its disk and network are made of.
NO_MODULES: Final = "modules=off"

_UNIT = r"[A-Za-z0-9@_.\\-]{1,80}"
#: What one can say, as a person reads it, and what fits.
ALLOWED: Final = {
    SINGLE_USER: SINGLE_USER,
    NO_MODULES: NO_MODULES,
    "emergency": "emergency",
    "quiet": "quiet",
    "debug": "debug",
    "ignore_loglevel": "ignore_loglevel",
    "loglevel=0…7": "loglevel=[0-7]",
    "lpj=NUMBER": "lpj=[1-9][0-9]{0,9}",
    "log_buf_len=64K…1M": "log_buf_len=(?:64K|128K|256K|512K|1M)",
    "systemd.unit=UNIT": rf"systemd\.unit={_UNIT}\.(?:target|service)",
    "systemd.mask=UNIT": rf"systemd\.mask={_UNIT}",
    "sysctl.NAME=VALUE": r"sysctl\.(?!kernel[./]+panic)[a-z][a-z0-9_./-]{1,80}=[A-Za-z0-9_./-]{1,40}",
}
_FITS = "|".join(ALLOWED.values())
BOOT_WORD: Final = re.compile(_FITS)

BootWord = Annotated[str, StringConstraints(pattern=r"^[a-z][\x21-\x7e]*$", max_length=128)]


def refused(words: Iterable[str]) -> str | None:
    """The first that can't be said; None where all can."""
    return next((one for one in words if BOOT_WORD.fullmatch(one) is None), None)

"""Capabilities of this process (capabilities(7))."""

import ctypes
from pathlib import Path

_VERSION_3, _PR_SET_NO_NEW_PRIVS = 0x20080522, 38
_libc = ctypes.CDLL(None, use_errno=True)


def keep_only(*kept: int) -> None:
    """These, by the numbers of linux/capability.h, and no other, nor any to come by executing something. A
    no-op for none where there is none. Raises OSError."""
    if not kept and not _has_any():
        return  # and capset(2) may be forbidden, as by systemd
    mask = sum(1 << number for number in kept)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(mask, mask, 0, 0, 0, 0)
    if _libc.capset(header, data) != 0 or _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _has_any() -> bool:
    lines = Path("/proc/self/status").read_text().splitlines()
    return any(line.startswith(("CapPrm:", "CapBnd:")) and int(line.split()[1], 16) for line in lines)

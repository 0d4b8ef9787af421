"""Loop devices by ioctl. Numbers and structure as in linux/loop.h."""

import fcntl
import os
import struct

_SET_STATUS64, _GET_STATUS64 = 0x4C04, 0x4C05
#: struct loop_info64 up to `lo_flags`, which stands behind five 64-bit and three 32-bit fields.
_INFO_BYTES, _FLAGS_AT = 232, 52
_AUTOCLEAR = 4


def release_when_unused(device: str) -> None:
    """From now on the kernel frees the device by itself when nothing mounts it any more, even when whoever
    mounted it was killed with its whole namespace. To be called while it is mounted; a no-op when it is so."""
    descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        info = bytearray(_INFO_BYTES)
        fcntl.ioctl(descriptor, _GET_STATUS64, info, True)
        (flags,) = struct.unpack_from("=I", info, _FLAGS_AT)
        if not flags & _AUTOCLEAR:
            struct.pack_into("=I", info, _FLAGS_AT, flags | _AUTOCLEAR)
            fcntl.ioctl(descriptor, _SET_STATUS64, info, True)
    finally:
        os.close(descriptor)

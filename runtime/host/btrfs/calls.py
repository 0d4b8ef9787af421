"""The kernel's calls for btrfs. Numbers and structures as in linux/btrfs.h and linux/btrfs_tree.h."""

import ctypes
import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

_MAGIC = 0x94
_PATH_ARGS = 4096


def ior(number: int, size: int) -> int:
    return 2 << 30 | size << 16 | _MAGIC << 8 | number


def iow(number: int, size: int) -> int:
    return 1 << 30 | size << 16 | _MAGIC << 8 | number


def iowr(number: int, size: int) -> int:
    return 3 << 30 | size << 16 | _MAGIC << 8 | number


SYNC = 0 << 30 | _MAGIC << 8 | 8  # _IO
TREE_SEARCH = iowr(17, 4096)
INO_LOOKUP = iowr(18, 4096)
SNAP_CREATE_V2 = iow(23, _PATH_ARGS)
SUBVOL_CREATE_V2 = iow(24, _PATH_ARGS)
SUBVOL_GETFLAGS = ior(25, 8)
SUBVOL_SETFLAGS = iow(26, 8)
QUOTA_CTL = iowr(40, 16)
QGROUP_ASSIGN = iow(41, 24)
QGROUP_CREATE = iow(42, 16)
QGROUP_LIMIT = ior(43, 48)
SNAP_DESTROY_V2 = iow(63, _PATH_ARGS)

# of every file system: linux/fs.h
GET_ATTRIBUTES = 2 << 30 | 8 << 16 | ord("f") << 8 | 1
SET_ATTRIBUTES = 1 << 30 | 8 << 16 | ord("f") << 8 | 2
NO_COPY_ON_WRITE = 0x00800000

READ_ONLY = 1 << 1
SUBVOL_QGROUP_INHERIT = 1 << 2
SUBVOL_SPEC_BY_ID = 1 << 4
ENABLE_SIMPLE_QUOTA = 4
LIMIT_MAX_RFER = 1
NO_LIMIT = 2**64 - 1

ROOT_TREE, QUOTA_TREE = 1, 8
QGROUP_RELATION_KEY = 246
ROOT_BACKREF_KEY = 144
ROOT_REF_KEY = 156
SUBVOLUME_INODE = 256


def ioctl(fd: int, request: int, data: bytes) -> bytes:
    """The argument as the kernel left it. A bytearray: Python copies at most 1,024 bytes of anything else."""
    buffer = bytearray(data)
    fcntl.ioctl(fd, request, buffer, True)
    return bytes(buffer)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield fd
    finally:
        os.close(fd)


def volume_args(
    *, name: str = "", fd: int = 0, flags: int = 0, inherit: ctypes.Array[ctypes.c_char] | None = None
) -> bytes:
    """struct btrfs_ioctl_vol_args_v2."""
    size = len(inherit) if inherit is not None else 0
    pointer = ctypes.addressof(inherit) if inherit is not None else 0
    return struct.pack("=qQQQQQQ4040s", fd, 0, flags, size, pointer, 0, 0, os.fsencode(name))


def joining(qgroups: Sequence[int]) -> ctypes.Array[ctypes.c_char] | None:
    """struct btrfs_qgroup_inherit with the groups that a new subvolume joins."""
    if not qgroups:
        return None
    packed = struct.pack(f"=9Q{len(qgroups)}Q", 0, len(qgroups), 0, 0, 0, 0, 0, 0, 0, *qgroups)
    return ctypes.create_string_buffer(packed, len(packed))


class _FileHandle(ctypes.Structure):
    """struct file_handle (open_by_handle_at(2)) with the short form of btrfs' own handle in it."""

    _pack_ = 1
    _fields_ = [
        ("handle_bytes", ctypes.c_uint),
        ("handle_type", ctypes.c_int),
        ("objectid", ctypes.c_uint64),
        ("root_objectid", ctypes.c_uint64),
        ("generation", ctypes.c_uint32),
    ]


_WITHOUT_PARENT, _ANY_GENERATION = 0x4D, 0


@contextmanager
def by_number(fd: int, tree: int, inode: int = SUBVOLUME_INODE) -> Iterator[int]:
    """A directory of the file system of `fd` by its subvolume and inode number: no name is followed."""
    handle = _FileHandle(20, _WITHOUT_PARENT, inode, tree, _ANY_GENERATION)
    found = _libc.open_by_handle_at(fd, ctypes.byref(handle), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    try:
        yield found
    finally:
        os.close(found)


def search(fd: int, kind: int) -> Iterator[tuple[int, int]]:
    """(object id, offset) of every item of this kind in the root tree. The kernel compares keys as a whole, so
    items of other kinds come as well."""
    objectid, least, offset = 0, kind, 0
    while True:
        key = struct.pack(
            "=QQQQQQQIIII4Q",
            *(ROOT_TREE, objectid, NO_LIMIT, offset, NO_LIMIT, 0, NO_LIMIT),
            *(least, kind, 4096, 0, 0, 0, 0, 0),
        )
        answer = ioctl(fd, TREE_SEARCH, key + bytes(4096 - len(key)))
        count = struct.unpack_from("=I", answer, 64)[0]
        if count == 0:
            return
        at = 104
        for _ in range(count):
            _, objectid, offset, least, length = struct.unpack_from("=QQQII", answer, at)
            at += 32 + length
            if least == kind:
                yield objectid, offset
        if offset < NO_LIMIT:
            offset += 1
        else:
            least, offset = least + 1, 0


def items(fd: int, tree: int, objectid: int, kind: int, *, last: int = NO_LIMIT) -> Iterator[tuple[int, bytes]]:
    """(offset, content) of every item of one object and kind, up to the offset `last`."""
    lowest = 0
    while lowest <= last:
        key = struct.pack(
            "=QQQQQQQIIII4Q",
            *(tree, objectid, objectid, lowest, last, 0, NO_LIMIT),
            *(kind, kind, 4096, 0, 0, 0, 0, 0),
        )
        answer = ioctl(fd, TREE_SEARCH, key + bytes(4096 - len(key)))
        count = struct.unpack_from("=I", answer, 64)[0]
        if count == 0:
            return
        at = 104
        for _ in range(count):
            _, whose, offset, which, length = struct.unpack_from("=QQQII", answer, at)
            at += 32 + length
            lowest = offset + 1
            if whose == objectid and which == kind:
                yield offset, answer[at - length : at]

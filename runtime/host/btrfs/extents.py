"""What trees hold on the disk: the extents of their files, each counted once, however many files have it."""

import struct
import time
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

from runtime.host.btrfs.calls import NO_LIMIT, iowr, opened
from runtime.host.btrfs.subvolumes import nested_subvolumes, subvolume_id

#: BTRFS_IOC_TREE_SEARCH_V2: as TREE_SEARCH, into a buffer of one's own size.
_TREE_SEARCH_V2 = iowr(17, 112)
_KEY = struct.Struct("=QQQQQQQIIII4Q")
_HEADER = struct.Struct("=QQQII")
_BUFFER_BYTES = 2**20
_EXTENT_DATA_KEY = 108
#: struct btrfs_file_extent_item: where its type stands, and the extent that it is of.
_TYPE_AT, _INLINE = 20, 0
_EXTENT = struct.Struct("=QQ")
_EXTENT_AT = 21


class TooLong(Exception):
    """There is more than is counted in the time that was given."""


def extents(path: Path, within_s: float) -> dict[int, int]:
    """Those of a subvolume and all nested in it: address on the disk, and length. What is so small that it
    lies in the tree itself isn't there, nor are holes. Raises `TooLong`."""
    until = time.monotonic() + within_s
    found: dict[int, int] = {}
    with opened(path) as fd:
        for tree in (subvolume_id(path), *nested_subvolumes(path)):
            for address, length in _of_tree(fd, tree):
                found[address] = length
                if time.monotonic() > until:
                    raise TooLong
    return found


def _of_tree(fd: int, tree: int) -> Iterator[tuple[int, int]]:
    objectid, least, offset = 0, 0, 0
    buffer = bytearray(_KEY.size + 8 + _BUFFER_BYTES)
    while True:
        _KEY.pack_into(
            buffer,
            0,
            *(tree, objectid, NO_LIMIT, offset, NO_LIMIT, 0, NO_LIMIT),
            *(least, 2**32 - 1, 2**32 - 1, 0, 0, 0, 0, 0),
        )
        struct.pack_into("=Q", buffer, _KEY.size, _BUFFER_BYTES)
        ioctl(fd, _TREE_SEARCH_V2, buffer, True)
        count = struct.unpack_from("=I", buffer, 64)[0]
        if count == 0:
            return
        at = _KEY.size + 8
        for _ in range(count):
            _, objectid, offset, least, length = _HEADER.unpack_from(buffer, at)
            at += _HEADER.size
            if least == _EXTENT_DATA_KEY and buffer[at + _TYPE_AT] != _INLINE:
                address, size = _EXTENT.unpack_from(buffer, at + _EXTENT_AT)
                if address:
                    yield address, size
            at += length
        if offset < NO_LIMIT:
            offset += 1
        else:
            least, offset = least + 1, 0

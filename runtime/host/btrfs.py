"""btrfs subvolumes and quota groups by ioctl. Numbers and structures as in linux/btrfs.h.

A command of btrfs-progs takes 3-7 ms where the ioctl takes about one, and progs 6.2 (Debian 12)
can't turn simple quotas on at all.
"""

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

_MAGIC = 0x94
_PATH_ARGS = 4096


def _ior(number: int, size: int) -> int:
    return 2 << 30 | size << 16 | _MAGIC << 8 | number


def _iow(number: int, size: int) -> int:
    return 1 << 30 | size << 16 | _MAGIC << 8 | number


def _iowr(number: int, size: int) -> int:
    return 3 << 30 | size << 16 | _MAGIC << 8 | number


_SYNC = 0 << 30 | _MAGIC << 8 | 8  # _IO
_TREE_SEARCH = _iowr(17, 4096)
_INO_LOOKUP = _iowr(18, 4096)
_SNAP_CREATE_V2 = _iow(23, _PATH_ARGS)
_SUBVOL_CREATE_V2 = _iow(24, _PATH_ARGS)
_SUBVOL_GETFLAGS = _ior(25, 8)
_SUBVOL_SETFLAGS = _iow(26, 8)
_QUOTA_CTL = _iowr(40, 16)
_QGROUP_ASSIGN = _iow(41, 24)
_QGROUP_CREATE = _iow(42, 16)
_QGROUP_LIMIT = _ior(43, 48)
_SNAP_DESTROY_V2 = _iow(63, _PATH_ARGS)

_SUBVOL_RDONLY = 1 << 1
_SUBVOL_QGROUP_INHERIT = 1 << 2
_SUBVOL_SPEC_BY_ID = 1 << 4
_ENABLE_SIMPLE_QUOTA = 4
_LIMIT_MAX_RFER = 1
_NO_LIMIT = 2**64 - 1

_ROOT_TREE, _QUOTA_TREE = 1, 8
_QGROUP_RELATION_KEY = 246
_ROOT_BACKREF_KEY = 144
_ROOT_REF_KEY = 156
_SUBVOLUME_INODE = 256


def qgroup_id(level: int, number: int) -> int:
    """`level/number` as the kernel packs it: 16 bits and 48 bits."""
    return level << 48 | number & (2**48 - 1)


def _ioctl(fd: int, request: int, data: bytes) -> bytes:
    """The argument as the kernel left it. A bytearray: Python copies at most 1,024 bytes of anything else."""
    buffer = bytearray(data)
    fcntl.ioctl(fd, request, buffer, True)
    return bytes(buffer)


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield fd
    finally:
        os.close(fd)


def _volume_args(
    *, name: str = "", fd: int = 0, flags: int = 0, inherit: ctypes.Array[ctypes.c_char] | None = None
) -> bytes:
    """struct btrfs_ioctl_vol_args_v2."""
    size = len(inherit) if inherit is not None else 0
    pointer = ctypes.addressof(inherit) if inherit is not None else 0
    return struct.pack("=qQQQQQQ4040s", fd, 0, flags, size, pointer, 0, 0, os.fsencode(name))


def _inherit(qgroups: Sequence[int]) -> ctypes.Array[ctypes.c_char] | None:
    """struct btrfs_qgroup_inherit with the groups that a new subvolume joins."""
    if not qgroups:
        return None
    packed = struct.pack(f"=9Q{len(qgroups)}Q", 0, len(qgroups), 0, 0, 0, 0, 0, 0, 0, *qgroups)
    return ctypes.create_string_buffer(packed, len(packed))


def sync(path: Path) -> None:
    """Commits the file system, so that its figures are those of now."""
    with _directory(path) as fd:
        _ioctl(fd, _SYNC, bytes(8))


def create_subvolume(path: Path, qgroups: Sequence[int] = ()) -> None:
    """An empty subvolume at `path`; FileExistsError when something is there."""
    inherit = _inherit(qgroups)
    flags = _SUBVOL_QGROUP_INHERIT if inherit is not None else 0
    with _directory(path.parent) as parent:
        _ioctl(parent, _SUBVOL_CREATE_V2, _volume_args(name=path.name, flags=flags, inherit=inherit))


def snapshot(source: Path, path: Path, *, readonly: bool = False, qgroups: Sequence[int] = ()) -> None:
    """A snapshot of the subvolume `source` at `path`; FileExistsError when something is there."""
    inherit = _inherit(qgroups)
    flags = (_SUBVOL_QGROUP_INHERIT if inherit is not None else 0) | (_SUBVOL_RDONLY if readonly else 0)
    with _directory(source) as origin, _directory(path.parent) as parent:
        arguments = _volume_args(name=path.name, fd=origin, flags=flags, inherit=inherit)
        _ioctl(parent, _SNAP_CREATE_V2, arguments)


#: On a nested subvolume of a snapshot: where it came from it was read-only. Root inside neither sees nor sets
#: trusted.*: xattr(7).
_LOCKED = "trusted.wadah.locked"


class TooManyNested(Exception):
    """More subvolumes in one another than are taken along."""


#: What became of a nested subvolume between the copy of what it is in and its own: gone, moved, or made since.
_CHANGED = {errno.ENOENT, errno.ENOTDIR, errno.ENOTEMPTY, errno.ESTALE}


def snapshot_all(
    source: Path,
    path: Path,
    qgroups: Sequence[int] = (),
    *,
    most: int | None = None,
    notes_locked: bool = True,
) -> int:
    """A read-only snapshot of the subvolume `source` with every subvolume nested in it, each at its own place;
    how many that are. FileExistsError when something is at `path`. Raises `TooManyNested` when there come to
    be more than `most` of them: whoever makes them may be faster than they are taken.

    The kernel's own snapshot leaves an empty directory where another subvolume was. Nested ones are opened by
    their ids and put in place by the number of their directory: no name of a tenant's is followed. Each is of
    one moment; several are of moments a little apart, and one that came or went between these is not in it.
    What was cut off leaves a part at `path`. With `notes_locked` each has a note of
    whether it was read-only, for `copy_all`; else the notes of `source`, which is a snapshot, stay.
    """
    snapshot(source, path, qgroups=qgroups)
    copies = [(subvolume_id(source), subvolume_id(path))]
    with _directory(path.parent) as fd:
        for tree, copy in copies:  # grows while it is walked: breadth first
            for nested, directory, name in _nested_places(fd, tree):
                if most is not None and len(copies) > most:
                    raise TooManyNested
                try:
                    made = _copy_nested(fd, nested, copy, (directory, name), qgroups)
                    copies.append((nested, made))
                    if notes_locked:
                        _note_locked(fd, nested, made)
                except OSError as error:
                    if error.errno not in _CHANGED:
                        raise
        for _, copy in reversed(copies):
            with _by_number(fd, copy) as top:
                _ioctl(top, _SUBVOL_SETFLAGS, struct.pack("=Q", _SUBVOL_RDONLY))
    return len(copies)


def _copy_nested(fd: int, nested: int, copy: int, at: tuple[int, bytes], qgroups: Sequence[int]) -> int:
    """A snapshot of one subvolume in place of the empty directory that stands for it in a copy; its tree id."""
    directory, name = at
    inherit = _inherit(qgroups)
    flags = _SUBVOL_QGROUP_INHERIT if inherit is not None else 0
    with _by_number(fd, nested) as origin, _by_number(fd, copy, directory) as place:
        os.rmdir(name, dir_fd=place)
        _ioctl(
            place,
            _SNAP_CREATE_V2,
            _volume_args(name=os.fsdecode(name), fd=origin, flags=flags, inherit=inherit),
        )
        made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
        try:
            return _tree_of(made)
        finally:
            os.close(made)


def _note_locked(fd: int, nested: int, copy: int) -> None:
    """On a copy that is writable still, whether the subvolume that it is of is read-only."""
    with _by_number(fd, nested) as origin, _by_number(fd, copy) as made:
        flags = struct.unpack("=Q", _ioctl(origin, _SUBVOL_GETFLAGS, bytes(8)))[0]
        if flags & _SUBVOL_RDONLY:
            os.setxattr(made, _LOCKED, b"1")
        else:
            with suppress(OSError):
                os.removexattr(made, _LOCKED)


def copy_all(source: Path, path: Path, qgroups: Sequence[int] = ()) -> int:
    """As `snapshot_all`, and writable: a root of its own, in which those nested are read-only that were so
    where the snapshot was taken. How many subvolumes that are."""
    count = snapshot_all(source, path, qgroups, notes_locked=False)
    tree = subvolume_id(path)
    with _directory(path.parent) as fd:
        order = [tree]
        for parent in order:
            order.extend(_nested(fd, parent))
        for one in order:
            _make_writable(fd, one)
        for one in order[1:]:
            _lock_again(fd, one)
    return count


def _lock_again(fd: int, tree: int) -> None:
    with _by_number(fd, tree) as found:
        try:
            os.removexattr(found, _LOCKED)
        except OSError:
            return  # it was writable
        _ioctl(found, _SUBVOL_SETFLAGS, struct.pack("=Q", _SUBVOL_RDONLY))


def is_subvolume(path: Path) -> bool:
    try:
        seen = path.lstat()
    except FileNotFoundError:
        return False
    return seen.st_ino == _SUBVOLUME_INODE and os.path.isdir(path) and not path.is_symlink()  # noqa: PTH112


def is_readonly(path: Path) -> bool:
    with _directory(path) as fd:
        flags = struct.unpack("=Q", _ioctl(fd, _SUBVOL_GETFLAGS, bytes(8)))[0]
    return bool(flags & _SUBVOL_RDONLY)


def set_readonly(path: Path, readonly: bool) -> None:
    with _directory(path) as fd:
        flags = struct.unpack("=Q", _ioctl(fd, _SUBVOL_GETFLAGS, bytes(8)))[0]
        wanted = flags | _SUBVOL_RDONLY if readonly else flags & ~_SUBVOL_RDONLY
        _ioctl(fd, _SUBVOL_SETFLAGS, struct.pack("=Q", wanted))


def subvolume_id(path: Path) -> int:
    """Tree id of the subvolume that holds this directory."""
    with _directory(path) as fd:
        return _tree_of(fd)


def _tree_of(fd: int) -> int:
    found = _ioctl(fd, _INO_LOOKUP, struct.pack("=QQ4080s", 0, _SUBVOLUME_INODE, b""))
    return int(struct.unpack_from("=Q", found)[0])


def delete_subvolume(path: Path) -> int:
    """Deletes the subvolume and every one nested in it, deepest first, by id: no path inside is followed.

    Returns how many were deleted; 0 when there is none at `path`. The space comes back a little
    later, when the kernel's cleaner has been there.
    """
    if not is_subvolume(path):
        return 0
    tree = subvolume_id(path)
    with _directory(path.parent) as fd:
        order = [tree]
        for parent in order:  # grows while it is walked: breadth first
            nested = _nested(fd, parent)
            if nested:
                _make_writable(fd, parent)  # its owner may have locked it, and nothing in it could go
            order.extend(nested)
        for one in reversed(order):
            arguments = bytearray(_volume_args(flags=_SUBVOL_SPEC_BY_ID))
            struct.pack_into("=Q", arguments, 56, one)
            _ioctl(fd, _SNAP_DESTROY_V2, bytes(arguments))
    return len(order)


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
def _by_number(fd: int, tree: int, inode: int = _SUBVOLUME_INODE) -> Iterator[int]:
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


def _make_writable(fd: int, tree: int) -> None:
    """Takes the read-only flag of a subvolume away."""
    with _by_number(fd, tree) as found:
        flags = struct.unpack("=Q", _ioctl(found, _SUBVOL_GETFLAGS, bytes(8)))[0]
        if flags & _SUBVOL_RDONLY:
            _ioctl(found, _SUBVOL_SETFLAGS, struct.pack("=Q", flags & ~_SUBVOL_RDONLY))


def nested_subvolumes(path: Path) -> list[int]:
    """Tree ids of all subvolumes below the subvolume at `path`."""
    with _directory(path) as fd:
        order = [subvolume_id(path)]
        for parent in order:
            order.extend(_nested(fd, parent))
    return order[1:]


def subvolume_count(path: Path) -> int:
    """Of the whole file system; those that were deleted don't count, cleaned or not."""
    with _directory(path) as fd:
        return sum(1 for _ in _search(fd, _ROOT_BACKREF_KEY))


def _search(fd: int, kind: int) -> Iterator[tuple[int, int]]:
    """(object id, offset) of every item of this kind in the root tree. The kernel compares keys as a whole, so
    items of other kinds come as well."""
    objectid, least, offset = 0, kind, 0
    while True:
        key = struct.pack(
            "=QQQQQQQIIII4Q",
            *(_ROOT_TREE, objectid, _NO_LIMIT, offset, _NO_LIMIT, 0, _NO_LIMIT),
            *(least, kind, 4096, 0, 0, 0, 0, 0),
        )
        answer = _ioctl(fd, _TREE_SEARCH, key + bytes(4096 - len(key)))
        count = struct.unpack_from("=I", answer, 64)[0]
        if count == 0:
            return
        at = 104
        for _ in range(count):
            _, objectid, offset, least, length = struct.unpack_from("=QQQII", answer, at)
            at += 32 + length
            if least == kind:
                yield objectid, offset
        if offset < _NO_LIMIT:
            offset += 1
        else:
            least, offset = least + 1, 0


def _nested(fd: int, tree: int) -> list[int]:
    """Direct children of a subvolume."""
    return [child for child, _, _ in _nested_places(fd, tree)]


def _nested_places(fd: int, tree: int) -> list[tuple[int, int, bytes]]:
    """Direct children of a subvolume, from the ROOT_REF items of the root tree: the child's tree, the inode
    number of the directory that it is in, and its name there (struct btrfs_root_ref)."""
    found: list[tuple[int, int, bytes]] = []
    for child, item in _items(fd, _ROOT_TREE, tree, _ROOT_REF_KEY):
        directory, _, name_length = struct.unpack_from("=QQH", item)
        found.append((child, directory, item[18 : 18 + name_length]))
    return found


def _items(
    fd: int, tree: int, objectid: int, kind: int, *, last: int = _NO_LIMIT
) -> Iterator[tuple[int, bytes]]:
    """(offset, content) of every item of one object and kind, up to the offset `last`."""
    lowest = 0
    while lowest <= last:
        key = struct.pack(
            "=QQQQQQQIIII4Q",
            *(tree, objectid, objectid, lowest, last, 0, _NO_LIMIT),
            *(kind, kind, 4096, 0, 0, 0, 0, 0),
        )
        answer = _ioctl(fd, _TREE_SEARCH, key + bytes(4096 - len(key)))
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


# quota groups --------------------------------------------------------------------------------


def enable_simple_quota(mount_point: Path) -> None:
    """Turns simple quotas on (kernel 6.7 or newer); a no-op when they are on. OSError when there are none."""
    with _directory(mount_point) as fd:
        try:
            _ioctl(fd, _QUOTA_CTL, struct.pack("=QQ", _ENABLE_SIMPLE_QUOTA, 0))
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise


def create_qgroup(mount_point: Path, qgroup: int) -> None:
    """A no-op when it is there."""
    with _directory(mount_point) as fd, suppress(FileExistsError):
        _ioctl(fd, _QGROUP_CREATE, struct.pack("=QQ", 1, qgroup))


def delete_qgroup(mount_point: Path, qgroup: int) -> bool:
    """False while the group still holds something (subvolumes not yet cleaned) and stays."""
    with _directory(mount_point) as fd:
        try:
            _ioctl(fd, _QGROUP_CREATE, struct.pack("=QQ", 0, qgroup))
        except OSError as error:
            if error.errno == errno.EBUSY:
                return False
            if error.errno != errno.ENOENT:
                raise
    return True


def assign_qgroup(mount_point: Path, child: int, parent: int) -> None:
    """Puts a group into another; a no-op when it is there."""
    with _directory(mount_point) as fd, suppress(FileExistsError):
        _ioctl(fd, _QGROUP_ASSIGN, struct.pack("=QQQ", 1, child, parent))


def unassign_qgroup(mount_point: Path, child: int, parent: int) -> None:
    with _directory(mount_point) as fd, suppress(FileNotFoundError):
        _ioctl(fd, _QGROUP_ASSIGN, struct.pack("=QQQ", 0, child, parent))


def limit_qgroup(mount_point: Path, qgroup: int, maximum_bytes: int | None) -> None:
    """Bytes that the group may hold; None: no limit."""
    value = _NO_LIMIT if maximum_bytes is None else maximum_bytes
    with _directory(mount_point) as fd:
        _ioctl(fd, _QGROUP_LIMIT, struct.pack("=6Q", qgroup, _LIMIT_MAX_RFER, value, 0, 0, 0))


def members(mount_point: Path, qgroup: int) -> int:
    """How many subvolumes a group of level 1 has in it, as of the last commit; those that were deleted and
    aren't cleaned yet count, since their groups stay."""
    with _directory(mount_point) as fd:
        last = qgroup_id(1, 0) - 1
        return sum(1 for _ in _items(fd, _QUOTA_TREE, qgroup, _QGROUP_RELATION_KEY, last=last))


class QuotaTable:
    """The quota groups of a mounted pool as the kernel holds them now (sysfs: uncommitted use included)."""

    def __init__(self, file_system_uuid: str):
        self.root = Path("/sys/fs/btrfs") / file_system_uuid / "qgroups"

    def mode(self) -> str:
        """`squota`, `qgroup`, or `none` when quotas are off."""
        try:
            return (self.root / "mode").read_text().strip()
        except OSError:
            return "none"

    def _read(self, level: int, number: int, name: str) -> int | None:
        try:
            return int((self.root / f"{level}_{number}" / name).read_text())
        except (OSError, ValueError):
            return None

    def count(self) -> int:
        """Of all levels, without listing them: a directory has a link from each below it."""
        try:
            return self.root.stat().st_nlink - 2
        except OSError:
            return 0

    def used_bytes(self, level: int, number: int) -> int | None:
        """None when there is no such group."""
        return self._read(level, number, "referenced")

    def limit_bytes(self, level: int, number: int) -> int | None:
        """None when there is no such group or no limit."""
        limit = self._read(level, number, "max_referenced")
        return None if limit in (None, _NO_LIMIT, 0) else limit

    def numbers(self, level: int) -> list[int]:
        prefix = f"{level}_"
        try:
            names = [entry.name for entry in self.root.iterdir()]
        except OSError:
            return []
        return [int(name[len(prefix) :]) for name in names if name.startswith(prefix)]


def file_system_uuid(mount_point: Path) -> str:
    """UUID of the mounted btrfs, by BTRFS_IOC_FS_INFO."""
    with _directory(mount_point) as fd:
        answer = _ioctl(fd, _ior(31, 1024), bytes(1024))
    raw = answer[16:32].hex()
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"

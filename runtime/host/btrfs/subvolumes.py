"""Subvolumes and snapshots, those nested in them included: found by number, since a name may be a tenant's."""

import errno
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from runtime.host.btrfs.calls import (
    GET_ATTRIBUTES,
    INO_LOOKUP,
    NO_COPY_ON_WRITE,
    READ_ONLY,
    ROOT_BACKREF_KEY,
    ROOT_REF_KEY,
    ROOT_TREE,
    SET_ATTRIBUTES,
    SNAP_CREATE_V2,
    SNAP_DESTROY_V2,
    SUBVOL_CREATE_V2,
    SUBVOL_GETFLAGS,
    SUBVOL_QGROUP_INHERIT,
    SUBVOL_SETFLAGS,
    SUBVOL_SPEC_BY_ID,
    SUBVOLUME_INODE,
    by_number,
    ioctl,
    items,
    joining,
    opened,
    search,
    volume_args,
)


def create_subvolume(path: Path, qgroups: Sequence[int] = ()) -> None:
    """An empty subvolume at `path`; FileExistsError when something is there."""
    inherit = joining(qgroups)
    flags = SUBVOL_QGROUP_INHERIT if inherit is not None else 0
    with opened(path.parent) as parent:
        ioctl(parent, SUBVOL_CREATE_V2, volume_args(name=path.name, flags=flags, inherit=inherit))


def snapshot(source: Path, path: Path, *, readonly: bool = False, qgroups: Sequence[int] = ()) -> None:
    """A snapshot of the subvolume `source` at `path`; FileExistsError when something is there."""
    inherit = joining(qgroups)
    flags = (SUBVOL_QGROUP_INHERIT if inherit is not None else 0) | (READ_ONLY if readonly else 0)
    with opened(source) as origin, opened(path.parent) as parent:
        arguments = volume_args(name=path.name, fd=origin, flags=flags, inherit=inherit)
        ioctl(parent, SNAP_CREATE_V2, arguments)


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
    with opened(path.parent) as fd:
        for tree, copy in copies:  # grows while it is walked: breadth first
            for nested, directory, name in nested_places(fd, tree):
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
            with by_number(fd, copy) as top:
                ioctl(top, SUBVOL_SETFLAGS, struct.pack("=Q", READ_ONLY))
    return len(copies)


def _copy_nested(fd: int, nested: int, copy: int, at: tuple[int, bytes], qgroups: Sequence[int]) -> int:
    """A snapshot of one subvolume in place of the empty directory that stands for it in a copy; its tree id."""
    directory, name = at
    inherit = joining(qgroups)
    flags = SUBVOL_QGROUP_INHERIT if inherit is not None else 0
    with by_number(fd, nested) as origin, by_number(fd, copy, directory) as place:
        os.rmdir(name, dir_fd=place)
        ioctl(
            place,
            SNAP_CREATE_V2,
            volume_args(name=os.fsdecode(name), fd=origin, flags=flags, inherit=inherit),
        )
        made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
        try:
            return _tree_of(made)
        finally:
            os.close(made)


def _note_locked(fd: int, nested: int, copy: int) -> None:
    """On a copy that is writable still, whether the subvolume that it is of is read-only."""
    with by_number(fd, nested) as origin, by_number(fd, copy) as made:
        flags = struct.unpack("=Q", ioctl(origin, SUBVOL_GETFLAGS, bytes(8)))[0]
        if flags & READ_ONLY:
            os.setxattr(made, _LOCKED, b"1")
        else:
            with suppress(OSError):
                os.removexattr(made, _LOCKED)


def copy_all(source: Path, path: Path, qgroups: Sequence[int] = ()) -> int:
    """As `snapshot_all`, and writable: a root of its own, in which those nested are read-only that were so
    where the snapshot was taken. How many subvolumes that are."""
    count = snapshot_all(source, path, qgroups, notes_locked=False)
    tree = subvolume_id(path)
    with opened(path.parent) as fd:
        order = [tree]
        for parent in order:
            order.extend(_nested(fd, parent))
        for one in order:
            _make_writable(fd, one)
        for one in order[1:]:
            _lock_again(fd, one)
    return count


def _lock_again(fd: int, tree: int) -> None:
    with by_number(fd, tree) as found:
        try:
            os.removexattr(found, _LOCKED)
        except OSError:
            return  # it was writable
        ioctl(found, SUBVOL_SETFLAGS, struct.pack("=Q", READ_ONLY))


def is_subvolume(path: Path) -> bool:
    try:
        seen = path.lstat()
    except FileNotFoundError:
        return False
    return seen.st_ino == SUBVOLUME_INODE and os.path.isdir(path) and not path.is_symlink()  # noqa: PTH112


def is_readonly(path: Path) -> bool:
    with opened(path) as fd:
        flags = struct.unpack("=Q", ioctl(fd, SUBVOL_GETFLAGS, bytes(8)))[0]
    return bool(flags & READ_ONLY)


def set_readonly(path: Path, readonly: bool) -> None:
    with opened(path) as fd:
        flags = struct.unpack("=Q", ioctl(fd, SUBVOL_GETFLAGS, bytes(8)))[0]
        wanted = flags | READ_ONLY if readonly else flags & ~READ_ONLY
        ioctl(fd, SUBVOL_SETFLAGS, struct.pack("=Q", wanted))


def write_in_place(path: Path) -> None:
    """Files made in this directory from now on are overwritten where they are: no copy on write, no checksums
    (chattr(1), attribute C). Those of a snapshot are copied once."""
    with opened(path) as fd:
        flags = struct.unpack("=i", ioctl(fd, GET_ATTRIBUTES, bytes(4)))[0]
        ioctl(fd, SET_ATTRIBUTES, struct.pack("=i", flags | NO_COPY_ON_WRITE))


def subvolume_id(path: Path) -> int:
    """Tree id of the subvolume that holds this directory."""
    with opened(path) as fd:
        return _tree_of(fd)


def _tree_of(fd: int) -> int:
    found = ioctl(fd, INO_LOOKUP, struct.pack("=QQ4080s", 0, SUBVOLUME_INODE, b""))
    return int(struct.unpack_from("=Q", found)[0])


def delete_subvolume(path: Path) -> int:
    """Deletes the subvolume and every one nested in it, deepest first, by id: no path inside is followed.

    Returns how many were deleted; 0 when there is none at `path`. The space comes back a little
    later, when the kernel's cleaner has been there.
    """
    if not is_subvolume(path):
        return 0
    tree = subvolume_id(path)
    with opened(path.parent) as fd:
        order = [tree]
        for parent in order:  # grows while it is walked: breadth first
            nested = _nested(fd, parent)
            if nested:
                _make_writable(fd, parent)  # its owner may have locked it, and nothing in it could go
            order.extend(nested)
        for one in reversed(order):
            arguments = bytearray(volume_args(flags=SUBVOL_SPEC_BY_ID))
            struct.pack_into("=Q", arguments, 56, one)
            ioctl(fd, SNAP_DESTROY_V2, bytes(arguments))
    return len(order)


def _make_writable(fd: int, tree: int) -> None:
    """Takes the read-only flag of a subvolume away."""
    with by_number(fd, tree) as found:
        flags = struct.unpack("=Q", ioctl(found, SUBVOL_GETFLAGS, bytes(8)))[0]
        if flags & READ_ONLY:
            ioctl(found, SUBVOL_SETFLAGS, struct.pack("=Q", flags & ~READ_ONLY))


def nested_subvolumes(path: Path) -> list[int]:
    """Tree ids of all subvolumes below the subvolume at `path`."""
    with opened(path) as fd:
        order = [subvolume_id(path)]
        for parent in order:
            order.extend(_nested(fd, parent))
    return order[1:]


def subvolume_count(path: Path) -> int:
    """Of the whole file system; those that were deleted don't count, cleaned or not."""
    with opened(path) as fd:
        return sum(1 for _ in search(fd, ROOT_BACKREF_KEY))


def _nested(fd: int, tree: int) -> list[int]:
    """Direct children of a subvolume."""
    return [child for child, _, _ in nested_places(fd, tree)]


def nested_places(fd: int, tree: int) -> list[tuple[int, int, bytes]]:
    """Direct children of a subvolume, from the ROOT_REF items of the root tree: the child's tree, the inode
    number of the directory that it is in, and its name there (struct btrfs_root_ref)."""
    found: list[tuple[int, int, bytes]] = []
    for child, item in items(fd, ROOT_TREE, tree, ROOT_REF_KEY):
        directory, _, name_length = struct.unpack_from("=QQH", item)
        found.append((child, directory, item[18 : 18 + name_length]))
    return found

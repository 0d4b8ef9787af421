"""btrfs subvolumes and quota groups by ioctl.

A command of btrfs-progs takes 3-7 ms where the ioctl takes about one, and progs 6.2 (Debian 12)
can't turn simple quotas on at all.
"""

from runtime.host.btrfs.extents import TooLong, extents
from runtime.host.btrfs.quotas import (
    QuotaTable,
    assign_qgroup,
    create_qgroup,
    delete_qgroup,
    enable_simple_quota,
    limit_qgroup,
    members,
    qgroup_id,
    unassign_qgroup,
)
from runtime.host.btrfs.subvolumes import (
    TooManyNested,
    copy_all,
    create_subvolume,
    delete_subvolume,
    is_readonly,
    is_subvolume,
    nested_subvolumes,
    set_readonly,
    snapshot,
    snapshot_all,
    subvolume_count,
    subvolume_id,
    write_in_place,
)
from runtime.host.btrfs.whole import file_system_uuid, sync

__all__ = [
    "QuotaTable",
    "TooLong",
    "TooManyNested",
    "assign_qgroup",
    "copy_all",
    "create_qgroup",
    "create_subvolume",
    "delete_qgroup",
    "delete_subvolume",
    "enable_simple_quota",
    "extents",
    "file_system_uuid",
    "is_readonly",
    "is_subvolume",
    "limit_qgroup",
    "members",
    "nested_subvolumes",
    "qgroup_id",
    "set_readonly",
    "snapshot",
    "snapshot_all",
    "subvolume_count",
    "subvolume_id",
    "sync",
    "unassign_qgroup",
    "write_in_place",
]

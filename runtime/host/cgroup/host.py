"""Which version of control groups this host has, and where."""

from pathlib import Path

from runtime.host.cgroup.base import Groups
from runtime.host.cgroup.legacy import LegacyGroups
from runtime.host.cgroup.unified import UnifiedGroups

ROOT = Path("/sys/fs/cgroup")


def version() -> int:
    """2 on a pure cgroup2 host, 1 when the v1 controllers are mounted (hybrid too)."""
    return 2 if (ROOT / "cgroup.controllers").exists() else 1


def groups() -> Groups:
    """The driver for this host."""
    return UnifiedGroups(ROOT) if version() == 2 else LegacyGroups(ROOT)

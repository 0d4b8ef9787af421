"""A mounted file system as a whole."""

from pathlib import Path

from runtime.host.btrfs.calls import SYNC, ioctl, ior, opened


def sync(path: Path) -> None:
    """Commits the file system, so that its figures are those of now."""
    with opened(path) as fd:
        ioctl(fd, SYNC, bytes(8))


def file_system_uuid(mount_point: Path) -> str:
    """UUID of the mounted btrfs, by BTRFS_IOC_FS_INFO."""
    with opened(mount_point) as fd:
        answer = ioctl(fd, ior(31, 1024), bytes(1024))
    raw = answer[16:32].hex()
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"

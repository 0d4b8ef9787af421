"""The node's own set of programs: Debian packages unpacked, none of whose scripts ran.

What directories hold is copied out of it, and its SFTP server serves disks of environments that are stopped.
Made when it is first needed, in ten seconds to a minute; the set of another recipe replaces it.
"""

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path

from runtime.contract.said import Said
from runtime.contract.words import directories
from runtime.errors import HostLacks
from runtime.files import exclusive
from runtime.host import btrfs
from runtime.images.base import Progress
from runtime.images.debian import fill, mirrors
from runtime.images.waiter import Waiter
from runtime.node import Node

SUITE = "bookworm"
PACKAGES = (
    "base-files,bash,bzip2,coreutils,dash,diffutils,file,findutils,gawk,git,grep,gzip,jq,less,libc-bin,nano,"
    "ncurses-base,openssh-client,openssh-sftp-server,patch,procps,rsync,sed,tar,unzip,xz-utils,zip,zstd"
)
_COMMAND = (
    "mmdebstrap",
    "--mode=root",
    "--variant=extract",
    "--format=directory",
    '--aptopt=APT::Install-Recommends "false"',
    f"--include={PACKAGES}",
    SUITE,
)
#: Beside the trees of directories, which begin otherwise.
PREFIX = ".tools-"


class Tools:
    def __init__(self, node: Node):
        self.node = node
        self.directory = node.store / "directories"
        self.recipe = hashlib.sha256(" ".join(_COMMAND).encode()).hexdigest()[:16]

    @property
    def tree(self) -> Path:
        return self.directory / f"{PREFIX}{self.recipe}"

    def is_there(self) -> bool:
        return self.tree.is_dir()

    def get(self, waiter: Waiter) -> None:
        """A no-op when it is there. Raises `RuntimeFault`."""
        if self.is_there():
            return
        if shutil.which("mmdebstrap") is None:
            raise HostLacks(directories.no_mmdebstrap(), next_step=directories.install_mmdebstrap())
        waiter.tell(directories.making_tools())
        with exclusive(self.node, "directories"):
            if not self.is_there():
                self._make(waiter)

    def _make(self, waiter: Waiter) -> None:
        self.directory.mkdir(mode=0o711, exist_ok=True)
        fresh = self.directory / ".new-tools"
        btrfs.delete_subvolume(fresh)
        btrfs.create_subvolume(fresh)
        try:
            fresh.chmod(0o755)
            fill(self.node, [*_COMMAND, str(fresh), *mirrors(SUITE)], _told(waiter))
            btrfs.set_readonly(fresh, True)
            fresh.rename(self.tree)
        except BaseException:
            btrfs.delete_subvolume(fresh)
            raise
        for old in self.directory.glob(f"{PREFIX}*"):
            if old != self.tree:
                with suppress(OSError):  # somebody reads there; it goes with the next recipe
                    btrfs.delete_subvolume(old)


def _told(waiter: Waiter) -> Progress:
    def tell(_share: float, what: Said) -> None:
        waiter.tell(what)

    return tell

"""The trees that directories are made of: one for each profile and each set of further programs.

A directory's root is a snapshot of one, so that making it costs nothing.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from runtime.contract import DirectoryOptions, Profile
from runtime.files import exclusive
from runtime.host import btrfs
from runtime.images.directory.copying import Copier
from runtime.images.directory.tools import PREFIX, Tools
from runtime.images.waiter import Waiter
from runtime.node import Node

#: Whom everything in a directory runs as, and whose its files are.
USER, UID, HOME = "user", 1000, "/home/user"
SFTP_SERVER = "/usr/lib/openssh/sftp-server"
#: Kept beside those that are made from now on; the ones that were used last.
_MOST_TREES = 64
_SFTP = ("scp",)
_GIT = ("git", "git-receive-pack", "git-upload-pack", "git-upload-archive")
_SHELL = """
    sh bash rbash cat chgrp chmod chown cp date dd df dir echo false kill ln ls mkdir mktemp mv nano ps
    pwd readlink rm rmdir sed sleep stty sync tar touch true uname egrep fgrep grep gunzip gzip zcat
    zgrep bunzip2 bzcat bzip2 [ arch b2sum base32 base64 basename cksum cmp comm csplit cut diff diff3
    dircolors dirname du env expand expr factor file find fmt fold free gawk getconf getent groups head
    hostid id install jq join less link locale logname md5sum mkfifo nice nl nohup nproc numfmt od paste
    patch pathchk pgrep pkill pmap pr printenv printf pwdx realpath rsync sdiff seq sha1sum sha224sum
    sha256sum sha384sum sha512sum shred shuf sort split stat stdbuf sum tac tail tee test timeout tr
    truncate tsort tty unexpand uniq unlink unxz unzip unzstd watch wc which whoami xargs xz xzcat yes
    zip zstd zstdcat
""".split()
PROGRAMS: Final[Mapping[Profile, Sequence[str]]] = {
    Profile.SHELL: (*_SHELL, *_SFTP, *_GIT),
    Profile.SFTP: _SFTP,
    Profile.RSYNC: ("rsync",),
    Profile.GIT: _GIT,
}
#: Files and directories beside programs, by the base's paths.
_FILES: Final[Mapping[Profile, Sequence[str]]] = {
    Profile.SHELL: (SFTP_SERVER, "usr/share/misc/magic.mgc"),
    Profile.SFTP: (SFTP_SERVER,),
}
_DATA: Final[Mapping[Profile, Sequence[str]]] = {
    Profile.SHELL: ("lib/terminfo", "usr/share/git-core/templates"),
    Profile.GIT: ("usr/share/git-core/templates",),
}
_TEXTS: Final[Mapping[str, str]] = {
    "etc/passwd": f"root:x:0:0:root:/root:/bin/false\n{USER}:x:{UID}:{UID}::{HOME}:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": f"root:x:0:\ntty:x:5:\n{USER}:x:{UID}:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/profile": "umask 022\nexport PS1='\\h:\\w\\$ '\n",
    "etc/gitconfig": "[safe]\n\tdirectory = *\n[init]\n\tdefaultBranch = main\n",
    "etc/os-release": 'ID=directory\nNAME="Directory"\nPRETTY_NAME="Directory"\n',
}
#: Links that Debian's own scripts would have made.
_LINKS = {"awk": "gawk", "which": "which.debianutils"}
_REVISION = 1


class DirectoryTrees:
    def __init__(self, node: Node):
        self.node = node
        self.tools = Tools(node)

    def path(self, options: DirectoryOptions) -> Path:
        """Whether it is there or not."""
        asked = f"{_REVISION} {self.tools.recipe} {options.profile} {' '.join(sorted(set(options.programs)))}"
        asked += f" {PROGRAMS} {_FILES} {_DATA} {_TEXTS}"
        return self.tools.directory / hashlib.sha256(asked.encode()).hexdigest()[:24]

    def is_there(self, options: DirectoryOptions) -> bool:
        return self.path(options).is_dir()

    def get(self, options: DirectoryOptions, waiter: Waiter) -> Path:
        """Makes it where it isn't there. Raises `RuntimeFault`: `no_program` by its name."""
        path = self.path(options)
        if path.is_dir():
            os.utime(path.parent)
            return path
        self.tools.get(waiter)
        with exclusive(self.node, "directories"):
            if not path.is_dir():
                self._make(options, path)
                self._sweep(path)
        return path

    def _make(self, options: DirectoryOptions, path: Path) -> None:
        fresh = path.with_name(".new-tree")
        btrfs.delete_subvolume(fresh)
        btrfs.create_subvolume(fresh)
        try:
            fill_tree(self.tools.tree, fresh, options)
            btrfs.set_readonly(fresh, True)
            fresh.rename(path)
        except BaseException:
            btrfs.delete_subvolume(fresh)
            raise

    def _sweep(self, made: Path) -> None:
        """Those that were made first go: what was made from them stays."""
        trees = [one for one in self.tools.directory.iterdir() if not one.name.startswith((PREFIX, ".new-"))]
        for old in sorted(trees, key=lambda one: one.stat().st_ctime)[:-_MOST_TREES]:
            if old != made:
                btrfs.delete_subvolume(old)


def fill_tree(base: Path, tree: Path, options: DirectoryOptions) -> None:
    """Into an empty directory. Raises `RuntimeFault` (`no_program`)."""
    profile = options.profile
    copier = Copier(base, tree)
    for name in dict.fromkeys((*PROGRAMS[profile], *options.programs)):
        copier.program(_LINKS.get(name, name))
    for path in _FILES.get(profile, ()):
        copier.file(path)
    for path in _DATA.get(profile, ()):
        copier.directory(path)
    if (tree / "usr/bin/git").exists():
        _git_programs(tree)
    for link, to in _LINKS.items():
        if (tree / "usr/bin" / to).exists():
            (tree / "usr/bin" / link).symlink_to(to)
    _furnish(tree)


def _git_programs(tree: Path) -> None:
    """What git starts of itself it looks for beside /usr/lib/git-core/git; all of it is one program."""
    core = tree / "usr/lib/git-core"
    core.mkdir(parents=True, exist_ok=True)
    (core / "git").symlink_to("../../bin/git")
    for name in ("git-upload-pack", "git-receive-pack", "git-upload-archive"):
        (core / name).symlink_to("git")


def _furnish(tree: Path) -> None:
    for name in ("dev", "etc", "proc", "run", "usr/share"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name, text in _TEXTS.items():
        (tree / name).write_text(text)
    for directory, _, names in os.walk(tree):
        Path(directory).chmod(0o755)  # whatever the umask
        for name in names:
            file = Path(directory) / name
            if not file.is_symlink():
                file.chmod(file.stat().st_mode & 0o111 | 0o644)
    (tree / "tmp").mkdir()
    (tree / "tmp").chmod(0o1777)
    home = tree / HOME.strip("/")
    home.mkdir(parents=True)
    home.parent.chmod(0o755)
    home.chmod(0o700)
    os.chown(home, UID, UID)

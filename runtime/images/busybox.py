"""The smallest useful system: busybox as init, shell and everything else. Made in under a second."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from runtime.contract import ImageSource, ImageSpec
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import advice, images, refusals
from runtime.errors import HostLacks
from runtime.host.command import run
from runtime.images.base import Progress, Source
from runtime.node import Node

_DIRECTORIES = (
    "bin dev etc/init.d etc/network home mnt opt proc root run sbin srv sys tmp "
    "usr/bin usr/sbin var/log var/tmp"
)
_FILES = {
    "etc/inittab": ("::sysinit:/etc/init.d/rcS\nconsole::respawn:-/bin/sh\n::shutdown:/bin/true\n"),
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\ntty:x:5:\nutmp:x:43:\nnogroup:x:65534:\n",
    "etc/shadow": "root:!:19000:0:99999:7:::\nnobody:!:19000:0:99999:7:::\n",
    "etc/profile": "export PS1='\\u@\\h:\\w\\$ '\ncd\n",
    "etc/os-release": 'ID=busybox\nNAME="BusyBox"\nPRETTY_NAME="BusyBox"\n',
    "etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost\n",
    "etc/init.d/rcS": (
        "#!/bin/sh\n"
        'echo "$(. /etc/os-release; echo $PRETTY_NAME) on $(hostname)"\n'
        "[ -x /etc/rc.local ] && exec /etc/rc.local\nexit 0\n"
    ),
}
_EXECUTABLE = ("etc/init.d/rcS",)
_PROGRAM = Path("/bin/busybox")


class Busybox(Source):
    name = ImageSource.BUSYBOX

    def recipe(self) -> str:
        return f"{_DIRECTORIES} {_FILES} {_EXECUTABLE}"

    def build(self, node: Node, spec: ImageSpec, tree: Path, progress: Progress) -> Said:
        furnish(tree, {}, progress)
        return NOTHING


def furnish(tree: Path, files: Mapping[str, str], progress: Progress = lambda _done, _what: None) -> None:
    """The system in an empty directory, with `files` beside its own, or in their place, by their paths.

    Raises `HostLacks` where there is no busybox.
    """
    if not _PROGRAM.exists():
        raise HostLacks(
            refusals.not_installed("busybox"), next_step=advice.install("apt install busybox-static")
        )
    progress(0.1, images.directories())
    for name in _DIRECTORIES.split():
        (tree / name).mkdir(parents=True, exist_ok=True)
    (tree / "tmp").chmod(0o1777)
    (tree / "root").chmod(0o700)
    shutil.copy(_PROGRAM, tree / "bin" / "busybox")
    (tree / "bin" / "busybox").chmod(0o755)
    progress(0.4, images.programs())
    for name in run([_PROGRAM, "--list-full"], timeout_s=20).stdout.decode().split():
        target = tree / name
        if not os.path.lexists(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to("/bin/busybox")
    progress(0.8, images.files())
    for name, text in {**_FILES, **files}.items():
        (tree / name).write_text(text)
        (tree / name).chmod(0o755 if name in _EXECUTABLE else 0o644)
    (tree / "etc" / "shadow").chmod(0o640)

"""What a session of somebody who came by SSH runs inside, and where: in what runs, in a directory, or over the
disk of what is stopped."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from runtime.console.exec import check_command
from runtime.contract.words import directories
from runtime.errors import RuntimeFault
from runtime.host.safetree import SafeTree
from runtime.images.directory.profiles import SFTP_SERVER
from runtime.images.directory.tools import Tools
from runtime.images.waiter import Waiter
from runtime.node import Node
from runtime.sandboxes import Sandbox, sandbox_of
from runtime.sandboxes.base import Inner
from runtime.state import Records

#: Where systems keep it: Debian, Fedora, Alpine.
_SFTP_SERVERS = (SFTP_SERVER, "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")
#: From its home, as sshd has it; the words stand behind.
_AT_HOME = 'cd "${HOME:-/}" 2>/dev/null || cd /; exec '
#: Of the node's own set, over a disk: what serves files, and nothing that would run what is there.
_SERVES_FILES = {"rsync": "/usr/bin/rsync", "scp": "/usr/bin/scp"}


def session(node: Node, environment_id: UUID, pid_file: Path, *, line: str, sftp: bool) -> Inner:
    """What runs it, to be started with pipes. `line`: as the client sent it; empty: a shell that reads stdin.

    Raises `RuntimeFault`: `not_running` where only what runs can do it, `bad_command`, `not_found`.
    """
    sandbox, root = sandbox_of(node), node.root_volume(environment_id)
    if not sandbox.look(environment_id).is_up:
        return _over_the_disk(node, sandbox, environment_id, pid_file, line="" if sftp else line, sftp=sftp)
    with SafeTree.open(root) as tree:
        has_shell = tree.exists("/bin/sh")
        server = next((one for one in _SFTP_SERVERS if tree.exists(one)), None)
    if sftp and server is None:
        return _over_the_disk(node, sandbox, environment_id, pid_file, line="", sftp=True)
    if sandbox.is_open(environment_id) and not has_shell:
        words = [server] if sftp and server else _words(line)
        return sandbox.inner(environment_id, words, pid_file=pid_file)
    words = [server, "-d", "."] if sftp and server else ["/bin/sh", *(["-c", line] if line else ["-l"])]
    at_home = ["/bin/sh", "-c", f'{_AT_HOME}"$@"', "sh", *words]
    return sandbox.inner(environment_id, at_home, pid_file=pid_file)


def _words(line: str) -> list[str]:
    """Without a shell it is words and no more. Raises `RuntimeFault` (`bad_command`)."""
    if line:
        check_command([line])  # shlex takes time by the square of a word
    try:
        words = shlex.split(line)
    except ValueError as odd:
        raise RuntimeFault(directories.bad_line(), code="bad_command", retryable=False) from odd
    if not words:
        raise RuntimeFault(directories.no_shell_here(), code="no_shell", retryable=False)
    check_command(words)
    return words


def _over_the_disk(
    node: Node, sandbox: Sandbox, environment_id: UUID, pid_file: Path, *, line: str, sftp: bool
) -> Inner:
    """A program of the node's own set in a container over the root volume, as its root."""
    spec = Records(node, environment_id).wanted()
    if spec is None or not node.root_volume(environment_id).is_dir():
        raise RuntimeFault(directories.no_disk(), code="not_found", retryable=False)
    words: Sequence[str] = (SFTP_SERVER,)
    if not sftp:
        words = _words(line) if line else [""]
        if words[0] not in _SERVES_FILES:
            raise RuntimeFault(directories.stopped_serves_files(), code="not_running", retryable=False)
        words = [_SERVES_FILES[words[0]], *words[1:]]
    tools = Tools(node)
    tools.get(Waiter())
    return sandbox.beside(spec, tools.tree, words, pid_file=pid_file)

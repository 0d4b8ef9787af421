"""Runs a program of the host: list of arguments, a deadline, a clean environment, captured output."""

import subprocess
from collections.abc import Mapping, Sequence
from os import PathLike, fspath

from runtime.contract.words import refusals
from runtime.errors import CommandFailed

#: What a tool of the host sees: nothing of the caller's environment but this.
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
}


def run(
    arguments: Sequence[str | PathLike[str]],
    *,
    timeout_s: float,
    stdin: bytes | None = None,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    check: bool = True,
) -> subprocess.CompletedProcess[bytes]:
    """The finished process. Killed at the deadline.

    Raises `CommandFailed` with the last line of its error output when it fails (unless `check` is
    False), can't be started, or runs past `timeout_s` seconds.
    """
    words = [fspath(word) for word in arguments]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout_s,
            env={**ENVIRONMENT, **(environment or {})},
            pass_fds=pass_fds,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise CommandFailed(refusals.program_too_slow(words[0], timeout_s), code="command_timeout") from late
    except OSError as missing:
        raise CommandFailed(refusals.program_not_started(words[0], str(missing.strerror))) from missing
    if check and done.returncode != 0:
        lines = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        if not lines:
            raise CommandFailed(refusals.program_failed_silently(words[0], done.returncode))
        raise CommandFailed(refusals.program_failed(words[0], done.returncode, lines[-1][:400]))
    return done

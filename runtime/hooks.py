"""Hooks of an environment: scripts of its owner's that run inside, as root, with a deadline."""

import time

from runtime.console.exec import run_command
from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import hooks
from runtime.errors import RuntimeFault
from runtime.node import Node

#: Told of what it wrote.
_MOST_LETTERS = 400
#: Between two tries to get in: a kernel of its own lets nobody in while it boots.
_AGAIN_S = 0.3


def run_hook(node: Node, spec: EnvironmentSpec, script: str) -> Said:
    """Runs it to its end, or to its deadline, and says how it ended. It fails nothing."""
    until = time.monotonic() + spec.hooks.within_s
    while True:
        left = until - time.monotonic()
        try:
            done = run_command(node, spec.id, ["/bin/sh", "-c", script], timeout_s=max(0.1, left))
        except RuntimeFault as fault:
            if left <= _AGAIN_S:
                return hooks.not_run(fault.said)
            time.sleep(_AGAIN_S)
            continue
        if done.timed_out:
            return hooks.too_long(spec.hooks.within_s)
        text = _told(done.stdout + b"\n" + done.stderr)
        if done.exit_code:
            return hooks.failed(done.exit_code, text)
        return hooks.ended(text) if text else hooks.done()


def _told(output: bytes) -> str:
    """The end of what it wrote, in one line."""
    words = "".join(one if one.isprintable() else " " for one in output.decode(errors="replace"))
    return " ".join(words.split())[-_MOST_LETTERS:]

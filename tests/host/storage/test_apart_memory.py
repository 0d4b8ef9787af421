"""Programs that read what strangers sent: what they hold is charged to nobody, and bounded together."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib import import_module

import pytest

from runtime.host.cgroup import groups
from runtime.images.confined import Program, confined
from runtime.node import Node

MIB = 2**20
_HOLDS = "held = b'x' * (60 * 2**20); print('held', flush=True); input()"


def _begun(node: Node, stack: ExitStack, *, is_background: bool) -> "subprocess.Popen[bytes]":
    """One that wants 60 MiB, of the 256 that it may have."""
    program = Program(
        words=["/usr/bin/python3", "-I", "-S", "-c", _HOLDS], trees={}, is_background=is_background
    )
    within = stack.enter_context(confined(node, program))
    process = subprocess.Popen(
        within.words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=within.environment,
        cwd="/",
        start_new_session=True,
    )
    stack.callback(process.wait, 30)
    stack.callback(within.end)
    return process


@pytest.mark.parametrize("is_background", [False, True], ids=["waited-for", "background"])
def test_all_together_have_a_share_of_the_machine(
    node: Node, monkeypatch: pytest.MonkeyPatch, is_background: bool
) -> None:
    apart = import_module("runtime.sandboxes.shared.apart")  # its function has the same name
    monkeypatch.setattr(apart, "LEAST_TOGETHER_BYTES", 100 * MIB)
    monkeypatch.setattr(apart, "MEMORY_PART", 10**6)
    with ExitStack() as stack:
        first = _begun(node, stack, is_background=is_background)
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        second = _begun(node, stack, is_background=is_background)
        assert second.stdout is not None
        heard = second.stdout.readline()
        assert heard == b"" or first.wait(30) != 0, "both hold what they want"
        top = f"{node.cgroup_name}-{'background' if is_background else 'import'}"
        assert groups().usage(top).memory_bytes <= 100 * MIB


def test_the_last_one_to_go_takes_nothing_from_one_that_comes(node: Node) -> None:
    """The group of all of them goes with the last one, and comes with the next, whoever begins meanwhile."""

    def comes_and_goes(_: int) -> None:
        for _ in range(8):
            with confined(node, Program(words=["/bin/true"], trees={})):
                pass

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(comes_and_goes, range(4)))
    assert not groups().exists(f"{node.cgroup_name}-import")

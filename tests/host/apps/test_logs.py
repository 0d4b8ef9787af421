"""What an app writes to its two streams is told apart, each line with its time."""

import time

from runtime.console import recording
from runtime.node import Node
from tests.host.apps.conftest import AppOf
from tests.host.conftest import Make
from tests.host.support.waiting import wait_until


def test_each_stream_by_itself(make: Make, node: Node, app_of: AppOf, shell_image: str) -> None:
    began = time.time() - 1
    spec = make(**app_of(shell_image))

    def lines(stream: str = "", since: float = 0.0, words: str = "") -> list[str]:
        found = recording.lines(node.console(spec.id), stream=stream, since=since, words=words)
        return [line.split(" ", 1)[1] for line in b"".join(found).decode().splitlines()]

    wait_until(lambda: len(lines()) == 2, "both lines")
    assert lines("stdout") == ["stdout out there"]
    assert lines("stderr") == ["stderr err"]
    assert lines(since=began, words="er") == lines(words="er")
    assert lines(since=time.time() + 60) == []

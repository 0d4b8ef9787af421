"""What a command printed arrives whole: as text where it is text, said where it isn't, every byte as base64."""

from base64 import b64decode

import pytest

from runtime.agent.app import executed
from runtime.console.exec import Outcome


def _outcome(stdout: bytes) -> Outcome:
    return Outcome(exit_code=0, stdout=stdout, stderr=b"", truncated=False, timed_out=False, duration_s=0.1)


@pytest.mark.parametrize(
    ("stdout", "lossy"),
    [
        (b"plain\n", False),
        ("Zürich".encode(), False),
        (b"\xff\xfe\x80", True),
        ("ü".encode()[:1], False),
        (b"", False),
    ],
)
def test_text_says_when_it_is_none(stdout: bytes, lossy: bool) -> None:
    assert executed(_outcome(stdout))["lossy"] is lossy


def test_base64_has_every_byte() -> None:
    every = bytes(range(256))
    told = executed(_outcome(every), "base64")
    assert b64decode(str(told["stdout"])) == every
    assert told["lossy"] is False

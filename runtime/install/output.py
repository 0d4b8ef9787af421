"""What the commands print: one line a thing, with seconds; and refusals with their remedy."""

import sys
import time

_began = time.monotonic()


class Stop(Exception):
    """The command can't go on; `str()` is the sentence, `remedy` what to do."""

    def __init__(self, message: str, remedy: str = ""):
        super().__init__(message)
        self.remedy = remedy


def line(text: str, mark: str = "✓") -> None:
    """A finished thing, with the seconds since the command began."""
    try:
        print(f" {mark} {text:<66} {time.monotonic() - _began:6.1f} s", flush=True)
    except UnicodeEncodeError:
        print(f" - {text:<66} {time.monotonic() - _began:6.1f} s", flush=True)


def plain(text: str = "") -> None:
    print(text, flush=True)


def problem(text: str) -> None:
    print(f"wadah: {text}", file=sys.stderr, flush=True)

"""The lines of a log that is followed: those that are there, those that come, over a change of its file."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.agent import followed

_AT = "2026-01-31T12:00:0{second}.000000000+00:00"


def write(directory: Path, *lines: str, second: int = 0, stream: str = "stdout") -> None:
    with (directory / "log").open("a") as file:
        for line in lines:
            file.write(f"{_AT.format(second=second)} {stream} F {line}\n")


def until_nothing(pieces: Iterator[bytes]) -> list[str]:
    """Texts of what there is by now."""
    found = []
    while piece := next(pieces):
        found += [line.split(" ", 2)[2] for line in piece.decode().splitlines()]
    return found


def test_what_is_there_and_what_comes(tmp_path: Path) -> None:
    write(tmp_path, "one", "two", "three")
    pieces = followed.lines(tmp_path, tail=2)
    assert until_nothing(pieces) == ["two", "three"]
    assert until_nothing(pieces) == []
    write(tmp_path, "four")
    assert until_nothing(pieces) == ["four"]
    (tmp_path / "log").rename(tmp_path / "old")
    write(tmp_path, "five", second=1)
    assert until_nothing(pieces) == ["five"]
    shutil.rmtree(tmp_path)
    with pytest.raises(StopIteration):
        next(pieces)


def test_which_of_them(tmp_path: Path) -> None:
    """By stream, words and moment; it ends where `until` has passed."""
    write(tmp_path, "out", second=1)
    write(tmp_path, "err", "no", second=2, stream="stderr")
    write(tmp_path, "err later", second=3, stream="stderr")
    pieces = followed.lines(
        tmp_path, stream="stderr", words="err", since=1_769_860_801.5, until=1_769_860_802.5
    )
    assert [line.split(" ", 2)[2] for line in b"".join(pieces).decode().splitlines()] == ["err"]
    assert until_nothing(followed.lines(tmp_path, tail=0)) == []

"""What a console printed, as a file: as it came, and with its times."""

import json
from datetime import datetime
from pathlib import Path

from runtime.console import recording

_AT = "2026-11-24T18:23:4{}.000000000+00:00"


def _log(directory: Path, *records: tuple[int, str, bytes]) -> Path:
    lines = [f"{_AT.format(s)} stdout {kind} ".encode() + content + b"\n" for s, kind, content in records]
    (directory / "log").write_bytes(b"".join(lines))
    return directory


def test_as_text_it_is_what_the_terminal_got(tmp_path: Path) -> None:
    directory = _log(tmp_path, (1, "F", b"one\r"), (2, "P", b"login: "), (4, "F", b"root\r"))
    assert b"".join(recording.text(directory)) == b"one\r\nlogin: root\r\n"


def test_as_a_cast_it_has_its_times_and_a_character_in_two_pieces_stays_whole(tmp_path: Path) -> None:
    first, second = "é".encode()[:1], "é".encode()[1:]
    directory = _log(tmp_path, (1, "F", b"one\r"), (2, "P", b"caf" + first), (4, "P", second + b"\xff"))
    header, *events = [json.loads(line) for line in b"".join(recording.cast(directory)).splitlines()]
    assert header["version"] == 2 and header["timestamp"] > 0
    assert events == [[0, "o", "one\r\n"], [1, "o", "caf"], [3, "o", "é\ufffd"]]


def test_as_lines_each_has_its_time_and_stream_and_some_are_chosen(tmp_path: Path) -> None:
    _log(tmp_path, (1, "F", b"one"), (2, "P", b"tw"), (3, "F", b"o here"))
    with (tmp_path / "log").open("ab") as log:
        log.write(_AT.format(4).encode() + b" stderr F bad\n" + _AT.format(5).encode() + b" stdout F x\xff\n")
    lines = b"".join(recording.lines(tmp_path)).splitlines()
    assert [line[36:] for line in lines] == [b"stdout one", b"stdout two here", b"stderr bad", b"stdout x\xff"]
    assert lines[1].startswith(_AT.format(3).encode())

    def some(**asked: object) -> list[bytes]:
        found = b"".join(recording.lines(tmp_path, **asked))  # type: ignore[arg-type]
        return [line[43:] for line in found.splitlines()]

    assert some(stream="stderr") == [b"bad"]
    assert some(words="o h") == [b"two here"]
    assert some(since=datetime.fromisoformat(_AT.format(4)).timestamp()) == [b"bad", b"x\xff"]
    assert some(stream="stdout", words="bad") == []
    assert some(until=datetime.fromisoformat(_AT.format(3)).timestamp()) == [b"one", b"two here"]
    assert some(until=0.0) == []
    assert some(tail=2) == [b"bad", b"x\xff"]
    assert some(tail=1, stream="stdout", until=datetime.fromisoformat(_AT.format(4)).timestamp()) == [
        b"two here"
    ]
    assert some(tail=0) == []
    assert len(some(tail=100)) == 4


def test_a_line_without_an_end_is_cut(tmp_path: Path) -> None:
    _log(tmp_path, *[(1, "P", b"y" * 8192)] * 20)
    assert [len(line) > 64 * 1024 for line in b"".join(recording.lines(tmp_path)).splitlines()] == [True, True]


def test_a_record_that_is_not_whole_yet_waits(tmp_path: Path) -> None:
    _log(tmp_path, (1, "F", b"one\r"))
    with (tmp_path / "log").open("ab") as log:
        log.write(_AT.format(2).encode() + b" stdout F tw")
    assert b"".join(recording.text(tmp_path)) == b"one\r\n"


def test_without_a_log_there_is_nothing(tmp_path: Path) -> None:
    assert list(recording.text(tmp_path)) == []
    assert len(b"".join(recording.cast(tmp_path)).splitlines()) == 1

"""What a console printed, as a file: as it came, and with its times."""

import json
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


def test_a_record_that_is_not_whole_yet_waits(tmp_path: Path) -> None:
    _log(tmp_path, (1, "F", b"one\r"))
    with (tmp_path / "log").open("ab") as log:
        log.write(_AT.format(2).encode() + b" stdout F tw")
    assert b"".join(recording.text(tmp_path)) == b"one\r\n"


def test_without_a_log_there_is_nothing(tmp_path: Path) -> None:
    assert list(recording.text(tmp_path)) == []
    assert len(b"".join(recording.cast(tmp_path)).splitlines()) == 1

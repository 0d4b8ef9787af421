"""What an app writes, as stores of logs take it: every line once, in order, whatever the log's file does."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import ValidationError

from runtime.contract import Destination, LogShipping, Receiver
from runtime.shipping.reading import LONGEST_LINE, Line, Reader
from runtime.shipping.records import Sender, framed, loki_body, syslog_records

AT = "2026-11-30T18:11:02.130327123+00:00"
SENDER = Sender("shop", "web", UUID(int=7), "node-1", {})


def record(text: bytes, stream: str = "stdout", *, full: bool = True, at: str = AT) -> bytes:
    return f"{at} {stream} {'F' if full else 'P'} ".encode() + text + b"\n"


def texts(reader: Reader) -> list[tuple[str, bytes]]:
    lines, position = reader.read()
    reader.take(position)
    return [(one.stream, one.text) for one in lines]


def test_each_line_comes_once_and_pieces_are_put_together(tmp_path: Path) -> None:
    log, reader = tmp_path / "log", Reader(tmp_path)
    assert not reader.has_more()
    assert texts(reader) == []
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+", "000+")
    log.write_bytes(record(b"one") + record(b"tw", full=False, at=now) + record(b"bad", "stderr", at=now))
    assert reader.has_more()
    assert texts(reader) == [("stdout", b"one")], "what was begun a moment ago isn't a line yet"
    with log.open("ab") as file:
        file.write(record(b"o\r"))
    assert texts(reader) == [("stderr", b"bad"), ("stdout", b"two")]
    assert not reader.has_more()


def test_what_has_no_end_is_a_line_after_a_moment_or_when_it_is_long(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(record(b"Name: ", full=False))
    assert texts(Reader(tmp_path)) == [("stdout", b"Name: ")]
    piece = record(b"x" * 8192, full=False)
    (tmp_path / "log").write_bytes(piece * 20)
    lines, _ = Reader(tmp_path).read()
    assert [len(one.text) for one in lines] == [LONGEST_LINE, LONGEST_LINE, 4 * 8192]


def test_it_goes_on_over_a_change_of_the_file_and_after_a_restart(tmp_path: Path) -> None:
    log, reader = tmp_path / "log", Reader(tmp_path)
    log.write_bytes(record(b"1") + record(b"2"))
    assert [text for _, text in texts(reader)] == [b"1", b"2"]
    with log.open("ab") as file:
        file.write(record(b"3"))
    (tmp_path / "next").write_bytes(record(b"4", at=AT.replace("18:11", "18:12")))
    (tmp_path / "next").rename(log)
    assert [text for _, text in texts(reader)] == [b"3"], "the rest of the old one comes first"
    assert [text for _, text in texts(reader)] == [b"4"]
    again = Reader(tmp_path, reader.identity, reader.position)
    assert texts(again) == []
    (tmp_path / "next").write_bytes(record(b"5", at=AT.replace("18:11", "18:13")))
    (tmp_path / "next").rename(log)
    assert [text for _, text in texts(Reader(tmp_path, reader.identity, reader.position))] == [b"5"]


def test_who_isnt_heard_keeps_no_old_file_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    log, reader = tmp_path / "log", Reader(tmp_path)
    log.write_bytes(record(b"1"))
    reader.read()  # and not taken
    reader.let_go()
    assert reader.lost_bytes == 0, "it is the newest still"
    (tmp_path / "next").write_bytes(record(b"2", at=AT.replace("18:11", "18:12")))
    (tmp_path / "next").rename(log)
    reader.let_go()
    assert reader.lost_bytes == len(record(b"1"))
    assert [text for _, text in texts(reader)] == [b"2"]


def test_a_record_of_syslog_is_what_rfc_5424_says_and_no_text_ends_one() -> None:
    lines = [Line(AT, "stdout", b"a\x00b\n<0>1 forged \xff"), Line(AT, "stderr", "né".encode())]
    first, second = syslog_records(SENDER, lines)
    assert first.decode() == "<14>1 2026-11-30T18:11:02.130327+00:00 shop web - stdout - a b <0>1 forged �"
    assert second.decode() == "<11>1 2026-11-30T18:11:02.130327+00:00 shop web - stderr - né"
    assert framed([first, second]) == b"%d %s%d %s" % (len(first), first, len(second), second)
    odd = Sender("x y", "", UUID(int=7), "n", {})
    assert syslog_records(odd, lines[:1])[0].split()[2:4] == [b"x_y", b"-"]


def test_lokis_push_has_a_stream_for_each_and_nanoseconds() -> None:
    body = json.loads(loki_body(SENDER, [Line(AT, "stdout", b"a"), Line(AT, "stderr", b"b")]))
    labels = {"job": "wadah", "app": "web", "environment": "shop", "node": "node-1"}
    assert [one["stream"] for one in body["streams"]] == [
        {**labels, "environment_id": str(UUID(int=7)), "stream": stream} for stream in ("stdout", "stderr")
    ]
    seconds = int(datetime(2026, 11, 30, 18, 11, 2, tzinfo=UTC).timestamp())
    assert [one["values"] for one in body["streams"]] == [[[f"{seconds}130327123", text]] for text in "ab"]
    assert time.gmtime(seconds).tm_min == 11


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("syslog+udp://log.example", (Receiver.SYSLOG, "log.example", 514, False, False)),
        ("syslog+tcp://10.0.0.1:1514", (Receiver.SYSLOG, "10.0.0.1", 1514, True, False)),
        ("syslog+tls://[fd00::1]/", (Receiver.SYSLOG, "fd00::1", 6514, True, True)),
        ("loki+http://loki:3100", (Receiver.LOKI, "loki", 3100, True, False)),
        ("loki+https://logs.example/push/x?y=1", (Receiver.LOKI, "logs.example", 443, True, True)),
    ],
)
def test_addresses(text: str, expected: tuple[object, ...]) -> None:
    found = Destination.parse(text)
    assert (found.receiver, found.host, found.port, found.is_stream, found.is_tls) == expected
    assert found.path == ("/push/x?y=1" if "push/x" in text else "/loki/api/v1/push")


@pytest.mark.parametrize(
    "text",
    [
        *("", "log.example", "http://log.example", "syslog://log.example", "syslog+udp://", "loki+http://a b"),
        *(
            "syslog+tcp://h:0",
            "syslog+tcp://h:65536",
            "syslog+tcp://h/path",
            "loki+http://me:pw@h/",
            "file:///etc",
        ),
        *(
            "loki+http://h/\r\nX: y",
            "loki+http://h/é",
            "syslog+tcp://[::1",
            "loki+http://-h",
            f"loki+http://{'h' * 600}",
        ),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        LogShipping(to=text)

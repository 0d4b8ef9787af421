"""Lines of an app's log as stores of logs take them."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from runtime.shipping.reading import Line

#: RFC 5424: facility 1 (user), severity 6 (informational) and 3 (error).
_PRIORITY = {"stdout": 8 + 6, "stderr": 8 + 3}
#: Of a datagram; RFC 5426 asks receivers for 2 KiB and hopes for 8.
DATAGRAM_BYTES = 8192
_NOT_PRINTED = re.compile(r"[^!-~]")
#: RFC 5424: control characters in a message may be changed.
_CONTROLS = dict.fromkeys([*range(9), *range(10, 32), 127], " ")


@dataclass(frozen=True)
class Sender:
    """Whose lines they are."""

    name: str
    """The environment's."""
    tag: str
    environment_id: UUID
    node: str
    hosts: Mapping[str, str]
    """Names that it has addresses of itself."""


def syslog_records(sender: Sender, lines: Iterable[Line]) -> list[bytes]:
    """One for each line (RFC 5424). The time has microseconds, which is all that it may have."""
    host, tag = _word(sender.name, 255), _word(sender.tag, 48)
    return [
        f"<{_PRIORITY[line.stream]}>1 {line.at[:26]}{line.at[29:]} {host} {tag} - {line.stream} - ".encode()
        + _text(line).encode()
        for line in lines
    ]


def framed(records: Iterable[bytes]) -> bytes:
    """On a stream: each with its length before it (RFC 6587, 3.4.1), so that no text can end one."""
    return b"".join(b"%d %s" % (len(one), one) for one in records)


def loki_body(sender: Sender, lines: Sequence[Line]) -> bytes:
    """Of Loki's push call, with a stream for each of stdout and stderr."""
    labels = {
        "job": "wadah",
        "app": sender.tag,
        "environment": sender.name,
        "environment_id": str(sender.environment_id),
        "node": sender.node,
    }
    streams: list[dict[str, object]] = []
    for stream in _PRIORITY:
        values = [[_nanoseconds(one.at), _text(one)] for one in lines if one.stream == stream]
        if values:
            streams.append({"stream": {**labels, "stream": stream}, "values": values})
    return json.dumps({"streams": streams}).encode()


def _text(line: Line) -> str:
    return line.text.decode(errors="replace").translate(_CONTROLS)


def _word(text: str, most: int) -> str:
    return _NOT_PRINTED.sub("_", text)[:most] or "-"


def _nanoseconds(at: str) -> str:
    seconds = int(datetime.fromisoformat(at[:19] + at[29:]).timestamp())
    return f"{seconds}{at[20:29]}"

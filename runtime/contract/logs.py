"""Where what an app writes is sent, and what came of that."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import Field, StringConstraints, field_validator

from runtime.contract.base import Message
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import asked

_ADDRESS = re.compile(
    r"(?P<scheme>syslog\+udp|syslog\+tcp|syslog\+tls|loki\+http|loki\+https)://"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[\x21-\x7e]*)?"
)
#: RFC 5426, RFC 6587 (no port of its own: syslog's), RFC 5425, and what Loki listens on.
_PORTS: Final = {"syslog+udp": 514, "syslog+tcp": 514, "syslog+tls": 6514, "loki+http": 3100, "loki+https": 443}
#: Lines of a log that are asked for from its end.
MOST_TAIL: Final = 100_000
LOKI_PATH: Final = "/loki/api/v1/push"


class Receiver(StrEnum):
    SYSLOG = "syslog"
    """Records of RFC 5424."""
    LOKI = "loki"
    """The push call of Loki's HTTP API, which other stores of logs take as well."""


class Destination(NamedTuple):
    receiver: Receiver
    host: str
    """A name, or an address without brackets."""
    port: int
    path: str
    is_stream: bool
    """TCP; off: datagrams."""
    is_tls: bool

    @classmethod
    def parse(cls, text: str) -> "Destination":
        """Raises ValueError with a sentence."""
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ValueError(asked.odd_log_address())
        scheme, path = found["scheme"], found["path"]
        port = int(found["port"] or _PORTS[scheme])
        if not 1 <= port <= 65_535:
            raise ValueError(asked.odd_port())
        receiver = Receiver(scheme.partition("+")[0])
        if receiver is Receiver.SYSLOG and path not in (None, "/"):
            raise ValueError(asked.syslog_has_no_path())
        return cls(
            receiver,
            found["host"].strip("[]"),
            port,
            path if path not in (None, "/") else LOKI_PATH,
            is_stream=scheme != "syslog+udp",
            is_tls=scheme in ("syslog+tls", "loki+https"),
        )


class LogShipping(Message):
    """Where each line of stdout and stderr is sent as well; the console keeps what it keeps all the same."""

    to: Annotated[str, StringConstraints(max_length=512)]
    """`syslog+udp://HOST:PORT`, `syslog+tcp://…`, `syslog+tls://…`, `loki+http://HOST:PORT/PATH`, `loki+https://…`.
    It is dialled within the app's own network: what the app can't reach, its lines don't."""
    tag: Annotated[str, StringConstraints(max_length=48, pattern=r"^[!-~]*$")] = ""
    """The program's name in each record (syslog: APP-NAME, 48 characters; Loki: the label `app`). Empty: the
    environment's name."""

    @field_validator("to")
    @classmethod
    def _is_address(cls, text: str) -> str:
        Destination.parse(text)
        return text

    @property
    def destination(self) -> Destination:
        return Destination.parse(self.to)


class LogsState(StrEnum):
    WAITING = "waiting"
    """Nothing was sent yet."""
    SENT = "sent"
    """All that was written up to the last look has been taken."""
    FAILING = "failing"
    """The last try failed; it is tried again, and nothing is skipped until the console's own log is full."""


class LogsSeen(Message):
    """What came of the sending since it was asked for."""

    state: LogsState
    since: datetime | None = None
    """None: nothing was sent yet."""
    message: Said = NOTHING
    """Why it fails."""
    lost_bytes: Annotated[int, Field(ge=0)] = 0
    """Of the log, that went over its bound before they were taken."""

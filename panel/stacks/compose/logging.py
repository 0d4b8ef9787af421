"""`logging` of a service: Docker's drivers for syslog and Loki, beside what the console keeps; others are left
aside."""

from typing import Any

from panel.stacks.compose import sentences, values
from panel.stacks.compose.problems import Place, Reading

_KEYS = ("driver", "options")
_SYSLOG = {"udp": "syslog+udp", "tcp": "syslog+tcp", "tcp+tls": "syslog+tls"}
#: What Docker keeps of itself; the console does.
_KEPT = frozenset(("", "json-file", "local", "journald", "none"))


def read_logging(reading: Reading, place: Place, value: Any) -> dict[str, str] | None:
    """Fields of `runtime.contract.LogShipping`, which checks them; None: it is sent nowhere."""
    asked = values.mapping(reading, place, value)
    values.refuse_others(reading, place, asked, _KEYS)
    driver = values.text(reading, (*place, "driver"), asked["driver"]) if "driver" in asked else ""
    options = values.pairs(reading, (*place, "options"), asked.get("options") or {})
    to = _syslog(options) if driver == "syslog" else _loki(options) if driver == "loki" else ""
    if not to:
        said = sentences.console_keeps_log() if driver in _KEPT else sentences.only_syslog_and_loki()
        reading.note(place, said)
        return None
    tag = options.get("tag") or ""
    return {"to": to} if not tag or "{{" in tag else {"to": to, "tag": tag}


def _syslog(options: dict[str, str | None]) -> str:
    """Empty where it is the machine's own."""
    scheme, found, place = (options.get("syslog-address") or "").partition("://")
    return f"{_SYSLOG[scheme]}://{place}" if found and scheme in _SYSLOG else ""


def _loki(options: dict[str, str | None]) -> str:
    url = options.get("loki-url") or ""
    return f"loki+{url}" if url else ""

"""The log of requests: what visitors of one name asked for, the newest first."""

import json
import mmap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from panel.domains import answers
from panel.domains.models import Domain
from runtime.contract.domain import ACCESS_LOG

MOST = 1000
_MOST_LINE = 16 * 1024
#: Of the end of the log, and of the lines of one name: who looks holds up who else is served.
_MOST_READ, _MOST_LINES = 16 * 2**20, 5000


def requests_of(row: Domain, limit: int = 100, text: str = "") -> list[answers.Request]:
    """At most `limit`, of the end of the newest two files; `text` is in the path. Empty where the front wrote
    none."""
    found: list[answers.Request] = []
    since, looked = row.created_at.timestamp(), 0
    for file in _files():
        for line in _lines(file, row.name):
            looked += 1
            if looked > _MOST_LINES:
                return found
            one = _shown(line)
            if one is None or one[1]["name"] != row.name or text not in one[1]["path"]:
                continue
            if one[0] < since:
                return found
            found.append(one[1])
            if len(found) >= limit:
                return found
    return found


def _files() -> list[Path]:
    current = settings.WADAH.home / ACCESS_LOG
    older = sorted(current.parent.glob("access-*.log"), reverse=True)
    return [one for one in (current, *older[:1]) if one.exists()]


def _lines(file: Path, name: str) -> Iterator[bytes]:
    """Those that have the name in them, from the end; nothing is read but what is looked at."""
    with file.open("rb") as opened:
        if opened.seek(0, 2) == 0:
            return
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as text:
            mark, end = f'"host":"{name}'.encode(), len(text)
            first = max(0, end - _MOST_READ)
            while (at := text.rfind(mark, first, end)) >= 0:
                start = text.rfind(b"\n", max(0, at - _MOST_LINE), at) + 1
                stop = text.find(b"\n", at, at + _MOST_LINE)
                if stop < 0:
                    stop = min(len(text), at + _MOST_LINE)
                yield text[start:stop]
                end = start


def _shown(line: bytes) -> tuple[float, answers.Request] | None:
    """With its time in seconds."""
    try:
        seen = json.loads(line)
        asked, at = seen["request"], float(seen["ts"])
        return at, {
            "at": datetime.fromtimestamp(at, UTC).isoformat(),
            "name": str(asked["host"]).partition(":")[0].lower().removesuffix("."),
            "client": str(asked["remote_ip"]),
            "method": str(asked["method"])[:20],
            "path": str(asked["uri"])[:2000],
            "protocol": str(asked["proto"])[:20],
            "status": int(seen["status"]),
            "bytes": int(seen["size"]),
            "seconds": round(float(seen["duration"]), 6),
        }
    except (ValueError, KeyError, TypeError, OverflowError):
        return None

"""When the panel is backed up by itself, and where to: HOME/etc/panel-backup.json, which root alone reads.

The node's agent looks at it (`runtime.agent.panel_clock`), and begins what is due.
"""

import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from runtime.install.files import put
from runtime.install.layout import Layout
from runtime.install.output import Stop

LEAST_PASSWORD = 12
#: What opens a server, as `runtime.backups.by_hand` takes it; of the second ones the file is named.
_OPENS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "SFTP_PASSWORD", "SFTP_HOST_KEY")
_OPENS_BY_FILE = ("SFTP_KEY_FILE", "CA_FILE")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True)
class Target:
    repository: str
    password: str = field(repr=False)
    keep: int = 0
    opens: dict[str, str] = field(default_factory=dict, repr=False)
    """Variables that open a server."""


def opening(given: Mapping[str, str], from_: Path) -> dict[str, str]:
    found = {name: given[name] for name in _OPENS if given.get(name)}
    return {**found, **{name: str(from_ / given[name]) for name in _OPENS_BY_FILE if given.get(name)}}


def minute_of(text: str) -> int:
    """Of the day. Raises `Stop`."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise Stop(f"{text} is no time of the day", "--daily 03:00, or never")
    return int(found[1]) * 60 + int(found[2])


def _file(layout: Layout) -> Path:
    return layout.etc / "panel-backup.json"


def keep(layout: Layout, target: Target, minute: int) -> None:
    put(_file(layout), json.dumps({**asdict(target), "minute": minute}), mode=0o600)


def forget(layout: Layout) -> None:
    _file(layout).unlink(missing_ok=True)


def read(layout: Layout) -> Target | None:
    """None where none is scheduled."""
    with suppress(FileNotFoundError):
        try:
            known = json.loads(_file(layout).read_text())
            return Target(known["repository"], known["password"], int(known["keep"]), dict(known["opens"]))
        except (ValueError, KeyError, TypeError) as odd:
            raise Stop(f"{_file(layout)} is damaged", "./wadah backup panel --daily … anew") from odd
    return None


def _noted(layout: Layout) -> Path:
    return layout.log / "panel-backup.json"


def note(layout: Layout, problem: str) -> None:
    """What came of the newest; of a failed one the time of the last that succeeded stays."""
    made_at = time.time() if not problem else (newest(layout) or (0.0, ""))[0]
    put(_noted(layout), json.dumps({"made_at": made_at, "problem": problem[:500]}), mode=0o600)


def newest(layout: Layout) -> tuple[float, str] | None:
    """When the last one was made (seconds since the epoch; 0: none was), and why the newest wasn't."""
    try:
        known = json.loads(_noted(layout).read_text())
        return float(known["made_at"]), str(known["problem"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

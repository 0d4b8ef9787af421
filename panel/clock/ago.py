"""A moment as people say it: when, or how long ago."""

import re
import time
from datetime import UTC, datetime

from django.utils.translation import gettext as _

from panel.errors import Invalid

_AGO = re.compile(r"([0-9]{1,7})([smhd])")


def moment_of(since: str, *, field: str = "since") -> float:
    """Seconds since the epoch; 0: from the beginning. Raises `Invalid`."""
    ago = _AGO.fullmatch(since)
    if not since:
        return 0.0
    if ago is not None:
        return max(0.0, time.time() - int(ago[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[ago[2]])
    try:
        moment = datetime.fromisoformat(since)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp())
    except (ValueError, OverflowError) as odd:
        raise Invalid(
            _("%(field)s is a moment (2026-01-31T12:00:00Z), or 90s, 15m, 2h, 3d.") % {"field": field},
            field=field,
        ) from odd

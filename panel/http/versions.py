"""`If-Match`: a change that is meant for the version that its asker has read (RFC 9110, 13.1.1)."""

import re

from django.http import HttpRequest
from django.utils.translation import gettext as _

from panel.errors import Invalid


def expected_version(request: HttpRequest) -> int | None:
    """The version in `If-Match` (`3` or `"3"`); None without the header, and for `*`."""
    text = request.headers.get("If-Match", "").strip()
    if text in ("", "*"):
        return None
    found = re.fullmatch(r'"?([0-9]{1,18})"?', text)
    if found is None:
        raise Invalid(_("If-Match is the version that you have read, as a number."), field="If-Match")
    return int(found[1])

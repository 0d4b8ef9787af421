"""What a form made and the page after it shows once: a token, a link.

It is kept in the session from one to the other. The form's answer is a redirect, so that a reload sends
nothing twice. Sessions are encrypted at rest.
"""

import time

from django.http import HttpRequest

#: A redirect that was never followed leaves it this long, in seconds.
_LIFE_S = 600


def keep_once(request: HttpRequest, what: str, text: str) -> None:
    """Kept for the next page that asks for `what`. Empty text: a no-op."""
    if text:
        request.session[_key(what)] = {"text": text, "until": time.time() + _LIFE_S}


def take_once(request: HttpRequest, what: str) -> str:
    """The text, which is then gone; empty when nothing was kept, or for a part that a script refreshes."""
    if request.headers.get("HX-Target"):
        return ""
    kept = request.session.pop(_key(what), None)
    return str(kept["text"]) if kept and kept["until"] > time.time() else ""


def _key(what: str) -> str:
    return f"once-{what}"

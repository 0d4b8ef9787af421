"""How long a sign-in lasts: not longer than half a day, and not longer than its owner is there.

OWASP ASVS 7.3.1 and 7.3.2 ask for both ends. Typing in a console counts as being there.
"""

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.db import OperationalError, transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from panel.http.database import DATABASE

_BORN, _SEEN = "born", "seen"
#: The session is written at most this often for being used.
_TOUCH_EVERY_S = 60


#: Sign-ins of one person that last; the oldest beyond that end within ten minutes.
MOST = 100
#: Of a stranger's session, which only a sign-in that goes on elsewhere needs.
_STRANGERS_S = 900


def begin(session: Any) -> None:
    """At sign-in."""
    session[_BORN] = session[_SEEN] = int(time.time())
    session.set_expiry(None)


def is_over(session: Any) -> bool:
    """Too old, or unused for too long."""
    now = time.time()
    age_s, idle_s = now - session.get(_BORN, now), now - session.get(_SEEN, now)
    return bool(age_s > settings.SESSION_COOKIE_AGE or idle_s > settings.WADAH.session_idle_s)


def touch(session: Any) -> None:
    """Its owner is there. A no-op within a minute of the last time. A sign-in that lies ahead, since the clock
    was set back, counts as one of now: it would last longer else.

    Written to the row as it is now, not with what this request loaded of it: of two requests at once the slower
    one would take away what the other put in, such as a message for its reader.
    """
    now = int(time.time())
    born = min(session.get(_BORN, now), now)
    if 0 <= now - session.get(_SEEN, 0) <= _TOUCH_EVERY_S and session.get(_BORN, now) <= now + _TOUCH_EVERY_S:
        return
    with transaction.atomic():
        row = type(session)(session.session_key)
        if SESSION_KEY in row:
            row[_SEEN], row[_BORN] = now, born
            row.save()
    # for the case that this request has something of its own to save; not by itself a reason to
    modified, session[_SEEN], session[_BORN] = session.modified, now, born
    session.modified = modified


class SessionMiddleware:
    """Signs out who was away for too long, and remembers where one has signed in.

    After Django's own, which find the session and the user."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        from panel.accounts.guesses import remember  # noqa: PLC0415 - models aren't there yet at import

        if request.session.session_key and request.user.is_authenticated:
            if is_over(request.session):
                logout(request)
            elif not DATABASE.is_locked:
                try:
                    touch(request.session)
                except OperationalError as error:  # reading goes on
                    DATABASE.failed(error)
                    if not DATABASE.is_locked:
                        raise
        answer = self.get_response(request)
        if request.session.modified and not request.session.is_empty() and SESSION_KEY not in request.session:
            request.session.set_expiry(_STRANGERS_S)
        remember(request, answer)
        return answer


def forget_over() -> None:
    """Rows of sessions whose time is over, of each person all but the newest, and allauth's of them."""
    from allauth.usersessions.models import UserSession  # noqa: PLC0415 - models aren't there yet at import
    from django.contrib.sessions.models import Session  # noqa: PLC0415

    Session.objects.filter(expire_date__lt=timezone.now()).delete()
    many = UserSession.objects.order_by().values("user").annotate(count=Count("pk")).filter(count__gt=MOST)
    for user in many.values_list("user", flat=True):
        newest = UserSession.objects.filter(user=user).order_by("-created_at", "-pk").values("pk")
        keys = UserSession.objects.filter(user=user, pk__in=list(newest[MOST:].values_list("pk", flat=True)))
        Session.objects.filter(session_key__in=keys.values("session_key")).delete()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()

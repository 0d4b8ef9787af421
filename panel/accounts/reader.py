"""Whoever reads: pages and letters are in his language, and their times in his time zone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

if TYPE_CHECKING:
    from panel.accounts.models import User


def language_of(user: User) -> str:
    """Of his profile; empty: he chose none, or one that the panel has no more."""
    return user.language if user.language in dict(settings.LANGUAGES) else ""


def zone_of(user: User) -> ZoneInfo:
    """Of his profile; UTC where this machine has no such zone (any more)."""
    try:
        return ZoneInfo(user.time_zone)
    except (KeyError, ValueError, OSError):  # no such name, no name at all, or the name of a folder of zones
        return ZoneInfo("UTC")


@contextmanager
def as_read_by(user: User, language: str = settings.LANGUAGE_CODE) -> Iterator[None]:
    """Sentences in his language (`language` if he chose none) and times in his zone; afterwards as before."""
    with translation.override(language_of(user) or language), timezone.override(zone_of(user)):
        yield


def remember_language(answer: HttpResponse, language: str) -> None:
    """For what asks beside the pages of this browser, as scripts do, and for its sign-in."""
    answer.set_cookie(settings.LANGUAGE_COOKIE_NAME, language, samesite="Lax")


class ReaderMiddleware:
    """Pages as their reader has it in his profile, in whatever browser he signed in.

    After what finds the user. The API speaks as it is asked to, and its times are in UTC: what a program reads
    doesn't depend on a profile. Scripts of pages ask it with the cookie, which is kept the same as the profile.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # without a session there is no user to ask the database for
        is_page = request.session.session_key and not request.path_info.startswith("/api/")
        if not is_page or not request.user.is_authenticated:
            return self.get_response(request)
        user = request.user
        with as_read_by(user, translation.get_language() or settings.LANGUAGE_CODE):
            answer = self.get_response(request)
            answer.headers.setdefault("Content-Language", translation.get_language() or settings.LANGUAGE_CODE)
        # as it is now: this request may have changed it
        language = language_of(user)
        if language and request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME) != language:
            remember_language(answer, language)
        return answer

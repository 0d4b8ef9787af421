"""Answers for addresses that lead nowhere, and for what doesn't work now."""

import sys

import structlog
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.csrf import csrf_failure as django_csrf_failure
from django.views.defaults import page_not_found
from django.views.defaults import server_error as plain_error

from panel.gate.requests import refuse
from panel.http.database import DATABASE
from panel.http.database_away import database_away, is_full
from panel.http.problem import problem
from panel.rights.asking import actor_of
from panel.ui.web import page_before

log = structlog.get_logger()


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """problem+json below /api/, a page elsewhere."""
    if request.path.startswith("/api/"):
        return problem(404, "not_found", "There is nothing at this address.")
    return page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django itself can't make sense of: too many fields, or too long, or a form cut off."""
    if isinstance(exception, RequestDataTooBig):
        given = {"n": settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2**20}
        return refuse(request, 413, "too_long", _("A request has at most %(n)s MiB.") % given)
    return refuse(request, 400, "bad_request", _("The request can't be understood: a part of it is malformed."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form whose session has ended leads to the sign-in and from there back to its page, which still has what
    was typed (`keep_form.js`). With a session it was an old page or a strange one: 403."""
    came_from = page_before(request)
    if actor_of(request) is None and came_from:
        return redirect_to_login(came_from)
    return django_csrf_failure(request, reason)


def server_error(request: HttpRequest) -> HttpResponse:
    """503 with Retry-After for a database that is away, locked or full; 500 for what is our fault."""
    error = sys.exc_info()[1]
    is_away = isinstance(error, (OperationalError, InterfaceError))
    if is_away:
        log.warning("database away", error=str(error)[:200], path=request.path)
        DATABASE.failed(error)
        connection.close_if_unusable_or_obsolete()
        return database_away(request, is_full=is_full(error))
    if request.path.startswith("/api/"):
        return problem(500, "our_fault", "This is a mistake of ours; it was written to the log.")
    return plain_error(request)

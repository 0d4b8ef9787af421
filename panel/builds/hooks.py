"""What a forge tells of a push: believed by its signature or token, taken once, and built when it is of the
branch.

GitHub and Gitea sign the body (HMAC-SHA256), GitLab and scripts send the secret itself. A body is read up to a
bound, and nothing of it but the branch and the commit.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from panel.at_rest import plain
from panel.builds import running
from panel.builds.models import Build, BuildSource, Delivery
from panel.builds.services import nobody
from panel.clock.services import oldest
from panel.errors import Conflict, Invalid, NotFound, Refused, TooMany
from panel.http.client import client_address
from panel.http.problem import refused
from panel.operations.models import OPEN_STATES
from panel.rights.actor import Actor

#: As of any body that is no archive; forges send 25 MB at most, of a push some KB.
MOST_BYTES = 1_000_000
#: Of one source in a minute, whoever sends them.
MOST_A_MINUTE = 30
_KEPT = timedelta(days=30)
#: Builds of one source that wait or are at work.
_MOST_OPEN = 2
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Push:
    """What is understood of a message."""

    branch: str
    commit: str


@csrf_exempt  # a forge has neither session nor cookie: what it says is believed by its signature
@require_POST
def hook(request: HttpRequest, source_id: UUID) -> HttpResponse:
    try:
        said, build = _taken(request, source_id)
    except Refused as refusal:
        return refused(refusal)
    number = build.number if build is not None else None
    return JsonResponse({"said": said, "build": number}, status=202 if build is not None else 200)


def _taken(request: HttpRequest, source_id: UUID) -> tuple[str, Build | None]:
    body = _body_of(request)
    row = BuildSource.objects.select_related("tenant", "changed_by").filter(pk=source_id).first()
    secret = plain(row.hook) if row is not None else ""
    if row is None or not secret:
        raise NotFound(_("This webhook"))
    if not is_believed(request.headers, body, secret):
        raise Refused(
            _("Neither a signature nor a token of this request fits the secret of this webhook."),
            code="bad_signature",
            status=403,
            next_step=_("Give the forge the secret that was shown; where it is lost, make another one."),
        )
    _bounded(row)
    if (event := _event_of(request.headers)) and "push" not in event:
        return _("Nothing is built at the event %(event)s.") % {"event": event[:40]}, None
    push = push_of(body)
    branch = (row.git or {}).get("branch", "")
    if push.branch and push.branch != branch:
        return _("Nothing is built of the branch %(branch)s.") % {"branch": push.branch[:100]}, None
    if push.commit and not push.commit.strip("0"):
        return _("The branch is gone; nothing is built."), None
    return _build(row, push, body, client_address(request.META))


def _body_of(request: HttpRequest) -> bytes:
    """Raises a refusal for a longer one before it is read."""
    try:
        length = int(request.headers.get("Content-Length") or 0)
    except ValueError:
        length = MOST_BYTES + 1
    if length > MOST_BYTES:
        raise Refused(
            _("A message of a webhook has at most %(most)s bytes.") % {"most": MOST_BYTES},
            code="too_long",
            status=413,
        )
    if (request.content_type or "").startswith("multipart/"):  # was read, as a form's, on its way here
        raise Refused(
            _("A message of a webhook is JSON, and no form with parts."), code="unsupported_type", status=415
        )
    return request.body


def is_believed(headers: Mapping[str, str], body: bytes, secret: str) -> bool:
    """By a signature where there is one; a wrong one isn't made good by a token."""
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    for name, begins in (
        ("X-Hub-Signature-256", "sha256="),
        ("X-Gitea-Signature", ""),
        ("X-Gogs-Signature", ""),
    ):
        if (given := headers.get(name)) is not None:
            return hmac.compare_digest(given.encode(), f"{begins}{wanted}".encode())
    given = headers.get("X-Gitlab-Token") or headers.get("X-Wadah-Token") or ""
    kind, _space, bearer = headers.get("Authorization", "").partition(" ")
    if not given and kind.lower() == "bearer":
        given = bearer
    return hmac.compare_digest(given.encode(), secret.encode())


def _event_of(headers: Mapping[str, str]) -> str:
    names = ("X-GitHub-Event", "X-Gitea-Event", "X-Gogs-Event", "X-Gitlab-Event")
    return next((headers[name].lower() for name in names if name in headers), "")


def push_of(body: bytes) -> Push:
    """Nothing of an empty body, or of one without a branch: whoever has the secret asks for a build then."""
    if not body.strip():
        return Push("", "")
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError) as odd:
        raise Invalid(_("The body is no JSON object."), field="body") from odd
    if not isinstance(document, dict):
        raise Invalid(_("The body is no JSON object."), field="body")
    ref, after = str(document.get("ref", "")), str(document.get("after", ""))
    if ref and not ref.startswith("refs/heads/"):
        return Push(ref[:200], "")
    return Push(ref.removeprefix("refs/heads/"), after if _COMMIT.fullmatch(after) else "")


def _bounded(row: BuildSource) -> None:
    key = f"hook-{row.pk}"
    cache.add(key, 0, 60)
    try:
        count = cache.incr(key)
    except ValueError:  # it went in this moment
        count = 1
    if count > MOST_A_MINUTE:
        raise TooMany(
            _("More than %(most)s messages came within a minute.") % {"most": MOST_A_MINUTE},
            next_step=_("Try again in a minute."),
        )


def _build(row: BuildSource, push: Push, body: bytes, address: str) -> tuple[str, Build | None]:
    """The message isn't kept where its build is refused: it may come again."""
    if row.changed_by is None or not row.changed_by.is_active:
        raise nobody()
    actor = Actor(row.changed_by, address=address)
    with transaction.atomic():
        BuildSource.objects.select_for_update().get(pk=row.pk)
        Delivery.objects.filter(source=row, at__lt=oldest(_KEPT)).delete()
        if push.commit:
            _once(row, body)
        waiting = Build.objects.filter(source=row, operation__state__in=OPEN_STATES)
        if waiting.count() >= _MOST_OPEN:
            return _("A build that waits takes this push along."), None
        build = running.run(actor, row.pk, pushed=push.commit or "asked")
    return _("It is being built."), build


def _once(row: BuildSource, body: bytes) -> None:
    """By what was signed, not by a header, which whoever sends it again could change."""
    try:
        with transaction.atomic():
            Delivery.objects.create(source=row, key=hashlib.sha256(body).hexdigest())
    except IntegrityError as error:
        raise Conflict(
            _("This message was taken in before."),
            code="replayed",
            next_step=_("Have it built by hand, or push again."),
        ) from error

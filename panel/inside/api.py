"""/api/v1/environments/{id}/{top,diff,cp,stats,events,attach}: Docker's words, one call each; and ways-in."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Status

from panel.environments.accepted import WHAT
from panel.errors import Invalid, Refused
from panel.http.answers import ListOf
from panel.http.inputs import Input
from panel.http.inputs import Query as Parameters
from panel.http.paths import uuid_of
from panel.images.archives import Staged, drain, length_of, take_in
from panel.inside import answers, services
from panel.rights.asking import actor
from panel.serving.promised import document, promised
from panel.storage.answers import Changes
from panel.storage.files import Asked

router = Router()
_TAR = {"schema": {"type": "string", "format": "binary"}}


class Path(Parameters):
    path: str = Field(default="", description="As inside; empty: the top.")
    path64: str = Field(default="", description="In place of `path`: base64 of its bytes.")


class Most(Parameters):
    limit: int = Field(default=1000, ge=1, le=5000)


class Since(Parameters):
    since: str = Field(default="", description="A moment, or `15m` ago.")
    limit: int = Field(default=100, ge=1, le=1000)


class Attach(Input):
    stdin: str = Field(default="", max_length=16_384, description="Typed at its console first.")
    timeout_s: float = Field(default=10, gt=0, le=600, description="How long it is listened to.")


def _answered(request: HttpRequest, asked: Asked[Any]) -> HttpResponse:
    async def answer() -> HttpResponse:
        return document(await asked.result())

    return promised(request, answer, asked.place)


@router.get("/{pk}/top", response=answers.Top, operation_id="environments_top")
def top(request: HttpRequest, pk: str) -> HttpResponse:
    """Its processes, the first thousand of them, with ids as inside. Names and programs, no arguments."""
    return _answered(request, services.top(actor(request), uuid_of(pk, WHAT)))


@router.get("/{pk}/diff", response=Changes, operation_id="environments_diff")
def diff(request: HttpRequest, pk: str, asked: Query[Most]) -> HttpResponse:
    """What was added, changed and removed since it was made from its image, or as a clone of a snapshot."""
    return _answered(request, services.diff(actor(request), uuid_of(pk, WHAT), most=asked.limit))


@router.get("/{pk}/ways-in", response=answers.WaysIn, operation_id="environments_ways_in")
def ways_in(request: HttpRequest, pk: str) -> HttpResponse:
    """By which ways root gets in now: at its console, by SSH with a key, by SSH with the password; and of each
    that is shut, why. Read from its own files, and what listens where it runs."""
    return _answered(request, services.ways_in(actor(request), uuid_of(pk, WHAT)))


@router.get("/{pk}/stats", response=answers.Stats, operation_id="environments_stats")
def stats(request: HttpRequest, pk: str) -> answers.Stats:
    """What it uses now of what it may."""
    return services.stats(actor(request), uuid_of(pk, WHAT))


@router.get("/{pk}/events", response=ListOf[answers.Event], operation_id="environments_events")
def events(request: HttpRequest, pk: str, asked: Query[Since]) -> ListOf[answers.Event]:
    """What was done to it, and what happened by itself, `since` a moment or `15m` ago; oldest first."""
    found = services.events(actor(request), uuid_of(pk, WHAT), since=asked.since, most=asked.limit)
    return {"items": found, "count": len(found)}


@router.get("/{pk}/cp", response={200: None}, operation_id="environments_copy_out")
def copy_out(request: HttpRequest, pk: str, file: Query[Path]) -> HttpResponse:
    """A file, a link or a directory, as a tar archive."""
    found = services.copy_out(actor(request), uuid_of(pk, WHAT), file.path, file.path64)
    return promised(request, found.answer, found.place)


@router.get("/{pk}/cp/check", response={204: None}, operation_id="environments_copy_check")
def may_copy_in(request: HttpRequest, pk: str, into: Query[Path]) -> Status[None]:
    """Whether an archive may be sent there. The front asks it before it lets anything of a body through."""
    services.may_copy_in(actor(request), uuid_of(pk, WHAT), into.path, into.path64)
    return Status(204, None)


@router.post(
    "/{pk}/cp",
    response=answers.CopiedIn,
    operation_id="environments_copy_in",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/x-tar": _TAR, "application/octet-stream": _TAR},
        }
    },
)
def copy_in(request: HttpRequest, pk: str, into: Query[Path]) -> HttpResponse:
    """The body is a tar archive, plain or packed by gzip, bzip2 or xz; what is in it goes into the directory
    `path`, with its owners and modes. No link is followed; it runs or not."""
    who, environment_id = actor(request), uuid_of(pk, WHAT)
    try:
        coming = services.coming_in(who, environment_id, into.path, into.path64)
        try:
            staged = _taken_in(request, coming.most_mb)
        finally:
            coming.place.give_back()
    except Refused:
        drain(request.read)
        raise
    return _answered(request, services.copy_in(who, environment_id, into.path, into.path64, staged))


def _taken_in(request: HttpRequest, most_mb: int) -> Staged:
    if request.content_type not in ("application/x-tar", "application/octet-stream"):
        raise Invalid(
            _("The archive is the request's body, with Content-Type: application/x-tar."), field="Content-Type"
        )
    return take_in(
        *(request.read, length_of(request)), most_mb=most_mb, places="-copy", at_once=services.COPIES.places
    )


@router.post("/{pk}/attach", response={200: None}, operation_id="environments_attach")
def attach(request: HttpRequest, pk: str, payload: Attach | None = None) -> HttpResponse:
    """What its first process writes from now on, as it comes, until it ends or the time is over; before that,
    `stdin` is typed at its console. Both ways for as long as one likes: `/ws/environments/{pk}/console`."""
    values = (payload or Attach()).model_dump()
    found = services.attach(actor(request), uuid_of(pk, WHAT), **values)
    return promised(request, found.answer, found.place)

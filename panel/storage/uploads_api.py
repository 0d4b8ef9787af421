"""/api/v1/environments/{id}/files/uploads"""

from typing import Literal

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Status

from panel.environments.accepted import WHAT
from panel.errors import Invalid, Refused
from panel.http.inputs import Query as Parameters
from panel.http.paths import uuid_of
from panel.images.archives import Staged, drain, length_of, take_in
from panel.rights.asking import actor
from panel.serving.promised import document, promised
from panel.storage import answers, uploads

router = Router()
_BYTES = {"schema": {"type": "string", "format": "binary"}}


class Part(Parameters):
    path: str = Field(default="", description="The file, as inside.")
    path64: str = Field(default="", description="In place of `path`: base64 of its bytes.")
    size: int = Field(default=0, description="Of the whole file, in bytes.")
    offset: int = Field(default=0, description="Where in the file this part begins.")
    modified: int | None = Field(
        default=None, description="The file's own time, in seconds of the epoch: what goes on has the same."
    )
    if_exists: Literal["refuse", "replace", "keep_both"] = "replace"


def _coming(part: Part) -> uploads.Coming:
    return uploads.coming(
        (part.path, part.path64),
        size=part.size,
        offset=part.offset,
        modified=part.modified,
        if_exists=part.if_exists,
    )


@router.get("/{pk}/files/uploads", response=answers.UnfinishedUploads, operation_id="files_uploads")
def unfinished(request: HttpRequest, pk: str) -> HttpResponse:
    """Files of which some has come, and not all. They lie in `/.wadah-uploads` on the environment's own disk
    and count there; what nothing came of for seven days goes."""
    asked = uploads.list_unfinished(actor(request), uuid_of(pk, WHAT))

    async def answer() -> HttpResponse:
        return document(await asked.result())

    return promised(request, answer, asked.place)


@router.get("/{pk}/files/uploads/check", response={204: None}, operation_id="files_upload_check")
def may_upload(request: HttpRequest, pk: str, part: Query[Part]) -> Status[None]:
    """Whether a part may be sent. The front asks it before it lets anything of a body through."""
    uploads.may_upload(actor(request), uuid_of(pk, WHAT)).give_back()
    _coming(part)
    return Status(204, None)


@router.post(
    "/{pk}/files/uploads",
    response=answers.Upload,
    operation_id="files_upload",
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": _BYTES}}},
)
def upload(request: HttpRequest, pk: str, part: Query[Part]) -> HttpResponse:
    """The body is a part of a file, of at most 16 MiB. What has come is kept until the file is whole; then it
    gets its name. The answer says where the next part begins: where less has come than `offset`, nothing is
    taken. It runs or not."""
    who, environment_id = actor(request), uuid_of(pk, WHAT)
    try:
        place = uploads.may_upload(who, environment_id)
        try:
            described, staged = _coming(part), _taken_in(request)
        finally:
            place.give_back()
    except Refused:
        drain(request.read)
        raise
    asked = uploads.take_part(who, environment_id, described, staged)

    async def answer() -> HttpResponse:
        return document(await asked.result())

    return promised(request, answer, asked.place)


def _taken_in(request: HttpRequest) -> Staged:
    if request.content_type != "application/octet-stream":
        raise Invalid(
            _("The part is the request's body, with Content-Type: application/octet-stream."),
            field="Content-Type",
        )
    most, places = uploads.MOST_PART_MB, uploads.PARTS.places
    return take_in(request.read, length_of(request), most_mb=most, places="-upload", at_once=places)


@router.delete("/{pk}/files/uploads/{upload}", response={204: None}, operation_id="files_upload_discard")
def discard(request: HttpRequest, pk: str, upload: str) -> HttpResponse:
    """What has come of it is gone; one that isn't there is gone already."""
    asked = uploads.discard_upload(actor(request), uuid_of(pk, WHAT), upload)

    async def answer() -> HttpResponse:
        await asked.result()
        return HttpResponse(status=204)

    return promised(request, answer, asked.place)

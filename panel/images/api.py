"""/api/v1/images"""

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router, Status

from panel.errors import Invalid, Refused
from panel.http.answers import ListOf
from panel.http.inputs import Input
from panel.http.inputs import Query as Asked
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.images import answers, services
from panel.images.archives import Staged, drain, length_of, take_in
from panel.images.models import Image
from panel.rights.actor import Actor
from panel.rights.asking import actor

router = Router()


class Build(Input):
    name: str
    source: str = ""


def show(row: Image) -> answers.Image:
    nodes: list[answers.ImageOnNode] = [
        {
            "node": one.node.name,
            "state": one.state,
            "progress": one.progress,
            "bytes": one.bytes,
            "code": one.code,
            "message": one.said,
            "next_step": one.next_step,
            "operation": str(one.operation_id) if one.operation_id else None,
        }
        for one in row.on_nodes.select_related("node", "operation")
    ]
    return {
        "id": str(row.pk),
        "name": row.name,
        "title": row.title,
        "description": row.description,
        "source": row.source,
        "archive": {"sha256": row.archive_sha256, "bytes": row.archive_bytes} if row.archive_id else None,
        "nodes": nodes,
    }


@router.get("", response=ListOf[answers.Image], operation_id="images_list")
def list_(request: HttpRequest, page: Query[Page]) -> ListOf[answers.Image]:
    actor(request)
    return page_of(Image.objects.order_by("name"), page, show)


@router.post("", response={202: answers.Image}, operation_id="images_build")
def build(request: HttpRequest, payload: Build) -> Status[answers.Image]:
    row = services.build_image(actor(request), name=payload.name, source=payload.source)
    return Status(202, show(row))


class Import(Asked):
    name: str = ""
    title: str = ""
    sha256: str = ""


@router.get("/archive", response={204: None}, operation_id="images_import_check")
def may_import(request: HttpRequest, wanted: Query[Import]) -> Status[None]:
    """Whether an archive may be handed in under this name; answers as the import would, without one. The front
    asks it before it lets anything of a body through."""
    services.check_import(actor(request), name=wanted.name)
    return Status(204, None)


@router.post(
    "/archive",
    response={202: answers.Image},
    operation_id="images_import",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
def import_(request: HttpRequest, wanted: Query[Import]) -> Status[answers.Image]:
    """The body is a tar archive of a root file system, plain or packed by gzip, xz, zstd or bzip2.

    `sha256`, when given, is what the archive must have. Only an archive that reaches nothing outside of its own
    root becomes an image; the image says on each node what was wrong, or left out (device nodes).
    """
    who = actor(request)
    try:
        staged = _taken_in(request, who, wanted)
    except Refused:
        drain(request.read)
        raise
    return Status(202, show(services.import_image(who, name=wanted.name, title=wanted.title, staged=staged)))


def _taken_in(request: HttpRequest, who: Actor, wanted: Import) -> Staged:
    services.check_import(who, name=wanted.name)
    if request.content_type != "application/octet-stream":
        raise Invalid(
            _("The archive is the request's body, with Content-Type: application/octet-stream."),
            field="Content-Type",
        )
    return take_in(request.read, length_of(request), sha256=wanted.sha256)


@router.delete("/{pk}", response={202: answers.RemovedImage}, operation_id="images_delete")
def delete(request: HttpRequest, pk: str) -> Status[answers.RemovedImage]:
    row = services.delete_image(actor(request), uuid_of(pk, "This image"))
    return Status(202, {"id": str(row.pk), "name": row.name})

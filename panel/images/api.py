"""/api/v1/images"""

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import BaseModel, ConfigDict

from panel.api.pages import Page, page_of
from panel.api.root import actor, uuid_of
from panel.images import services
from panel.images.models import Image

router = Router()
Json = dict[str, Any]


class Build(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    source: str = ""


def show(row: Image) -> Json:
    nodes = [
        {
            "node": one.node.name,
            "state": one.state,
            "progress": one.progress,
            "bytes": one.bytes,
            "message": one.message,
        }
        for one in row.on_nodes.select_related("node")
    ]
    return {
        "id": str(row.pk),
        "name": row.name,
        "title": row.title,
        "description": row.description,
        "source": row.source,
        "nodes": nodes,
    }


@router.get("", response=Json, operation_id="images_list")
def list_(request: HttpRequest, page: Query[Page]) -> Json:
    actor(request)
    return page_of(Image.objects.order_by("name"), page, show)


@router.post("", response={202: Json}, operation_id="images_build")
def build(request: HttpRequest, payload: Build) -> Status[Json]:
    row = services.build_image(actor(request), name=payload.name, source=payload.source)
    return Status(202, show(row))


@router.delete("/{pk}", response={202: Json}, operation_id="images_delete")
def delete(request: HttpRequest, pk: str) -> Status[Json]:
    row = services.delete_image(actor(request), uuid_of(pk, "This image"))
    return Status(202, {"id": str(row.pk), "name": row.name})

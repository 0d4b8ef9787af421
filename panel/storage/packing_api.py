"""/api/v1/environments/{id}/files/search, pack and unpack"""

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router

from panel.environments.accepted import WHAT
from panel.http.inputs import Input
from panel.http.paths import uuid_of
from panel.rights.asking import actor
from panel.serving.promised import document, promised
from panel.storage import answers, files, packing
from panel.storage.api import Files
from panel.storage.arranging_api import Several

router = Router()


class Searched(Files):
    text: str = Field(
        default="", description="A part of the name, or a pattern with `*` and `?`; in whatever case."
    )
    content: bool = Field(
        default=False, description="Plain files that hold exactly `text` in their first 4 MiB, instead."
    )
    limit: int = Field(default=200, ge=1, le=1000)


class FilesToPack(Several):
    to: str = Field(default="", description="The new file, as inside.")
    to64: str = Field(default="", description="In place of `to`: base64 of its bytes.")
    format: Literal["tar.gz", "zip"] = "tar.gz"


class FileToUnpack(Input):
    path: str = Field(default="", description="The archive: zip, or tar, plain or packed by gzip, bzip2 or xz.")
    path64: str = Field(default="", description="In place of `path`: base64 of its bytes.")
    into: str = Field(default="", description="The directory, which is made where there is none.")
    into64: str = Field(default="", description="In place of `into`: base64 of its bytes.")


def _answered(request: HttpRequest, asked: files.Asked[Any]) -> HttpResponse:
    async def answer() -> HttpResponse:
        return document(await asked.result())

    return promised(request, answer, asked.place)


@router.get("/{pk}/files/search", response=answers.FoundFiles, operation_id="files_search")
def search(request: HttpRequest, pk: str, asked: Query[Searched]) -> HttpResponse:
    """By name, or by content, below a directory. It takes 20 seconds at most, and follows no link."""
    found = packing.search_files(
        actor(request),
        uuid_of(pk, WHAT),
        asked.snapshot,
        (asked.path, asked.path64),
        asked.text,
        in_content=asked.content,
        most=asked.limit,
    )
    return _answered(request, found)


@router.post("/{pk}/files/pack", response=answers.PackedFiles, operation_id="files_pack")
def pack(request: HttpRequest, pk: str, payload: FilesToPack) -> HttpResponse:
    """An archive of them as a new file of the environment; fifos, sockets and devices are left out."""
    asked = packing.pack_files(
        actor(request),
        uuid_of(pk, WHAT),
        payload.paths,
        payload.paths64,
        (payload.to, payload.to64),
        form=payload.format,
    )
    return _answered(request, asked)


@router.post("/{pk}/files/unpack", response=answers.UnpackedFiles, operation_id="files_unpack")
def unpack(request: HttpRequest, pk: str, payload: FileToUnpack) -> HttpResponse:
    """What has the same name is replaced, all else stays. Of tar with owners and modes, of zip as root's."""
    asked = packing.unpack_file(
        actor(request),
        uuid_of(pk, WHAT),
        (payload.path, payload.path64),
        (payload.into, payload.into64),
    )
    return _answered(request, asked)

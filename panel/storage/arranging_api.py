"""/api/v1/environments/{id}/files/…: several files at once, and the trash of files"""

from typing import Literal

from django.http import HttpRequest, HttpResponse
from ninja import Field, Router

from panel.environments.accepted import WHAT
from panel.http.inputs import Input
from panel.http.paths import uuid_of
from panel.rights.asking import actor
from panel.serving.promised import document, promised
from panel.storage import answers, arranging, files

router = Router()


class Several(Input):
    paths: list[str] = Field(
        default_factory=list, max_length=arranging.MOST_PATHS, description="Files and directories, as inside."
    )
    paths64: list[str] = Field(
        default_factory=list,
        max_length=arranging.MOST_PATHS,
        description="More of them: each as base64 of its bytes.",
    )


class FilesToMove(Several):
    into: str | None = Field(default=None, description="The directory; left out: where each is.")
    into64: str = Field(default="", description="In place of `into`: base64 of its bytes.")
    name: str = Field(default="", description="A new name, of one.")
    name64: str = Field(default="", description="In place of `name`: base64 of its bytes.")
    if_exists: Literal["refuse", "replace", "keep_both"] = Field(
        default="refuse",
        description="What becomes of one whose name is taken there. A directory is never replaced; of two that "
        "are kept the new one becomes `name (2)`.",
    )


class FilesToDelete(Several):
    trash: bool = Field(default=False, description="Into the trash of files, in place of for good.")


class FilesToChange(Several):
    mode: str = Field(default="", description="Octal, as chmod(1) takes it; empty: as it is.")
    owner: str = Field(default="", description="By the environment's own names, or a number; empty: as it is.")
    group: str = ""
    recursive: bool = Field(
        default=False,
        description="All that is in a directory too. Directories can be entered then by whom `mode` lets read.",
    )


class TrashedFiles(Input):
    ids: list[str] = Field(max_length=1000)


class TrashToEmpty(Input):
    ids: list[str] | None = Field(default=None, max_length=1000, description="Left out: all of it.")


def _answered(request: HttpRequest, asked: files.Asked[answers.Arranged]) -> HttpResponse:
    async def answer() -> HttpResponse:
        return document(await asked.result())

    return promised(request, answer, asked.place)


def _moved(request: HttpRequest, pk: str, payload: FilesToMove, *, copies: bool) -> HttpResponse:
    says_where = payload.into is not None or payload.into64
    asked = arranging.move_files(
        actor(request),
        uuid_of(pk, WHAT),
        payload.paths,
        payload.paths64,
        into=(payload.into or "", payload.into64) if says_where else None,
        name=(payload.name, payload.name64),
        if_exists=payload.if_exists,
        copies=copies,
    )
    return _answered(request, asked)


@router.post("/{pk}/files/move", response=answers.Arranged, operation_id="files_move")
def move(request: HttpRequest, pk: str, payload: FilesToMove) -> HttpResponse:
    """Into another directory, or under another name; at most 500. It runs or not, and links aren't followed."""
    return _moved(request, pk, payload, copies=False)


@router.post("/{pk}/files/copy", response=answers.Arranged, operation_id="files_copy")
def copy(request: HttpRequest, pk: str, payload: FilesToMove) -> HttpResponse:
    """With owners, modes, times and attributes; each whole, or not at all."""
    return _moved(request, pk, payload, copies=True)


@router.post("/{pk}/files/delete", response=answers.Arranged, operation_id="files_delete_many")
def delete(request: HttpRequest, pk: str, payload: FilesToDelete) -> HttpResponse:
    """Files, and directories with all that is in them."""
    asked = arranging.delete_files(
        actor(request), uuid_of(pk, WHAT), payload.paths, payload.paths64, trash=payload.trash
    )
    return _answered(request, asked)


@router.post("/{pk}/files/attributes", response=answers.Arranged, operation_id="files_attributes")
def attributes(request: HttpRequest, pk: str, payload: FilesToChange) -> HttpResponse:
    """Mode, owner and group."""
    asked = arranging.change_files(
        actor(request),
        uuid_of(pk, WHAT),
        payload.paths,
        payload.paths64,
        mode=payload.mode,
        owner=payload.owner,
        group=payload.group,
        recursive=payload.recursive,
    )
    return _answered(request, asked)


@router.get("/{pk}/files/trash", response=answers.FilesTrash, operation_id="files_trash")
def trash(request: HttpRequest, pk: str) -> HttpResponse:
    """What was deleted into the trash, the newest first. It lies in `/.wadah-trash` on the environment's own
    disk and counts there; what is older than 30 days, and the oldest of more than 1,000, goes with the next
    deletion."""
    asked = arranging.list_trash(actor(request), uuid_of(pk, WHAT))

    async def answer() -> HttpResponse:
        return document(await asked.result())

    return promised(request, answer, asked.place)


@router.post("/{pk}/files/trash/restore", response=answers.Arranged, operation_id="files_trash_restore")
def restore(request: HttpRequest, pk: str, payload: TrashedFiles) -> HttpResponse:
    """Back to where they were, where nothing has their name by now."""
    return _answered(request, arranging.restore_trash(actor(request), uuid_of(pk, WHAT), payload.ids))


@router.post("/{pk}/files/trash/empty", response=answers.Arranged, operation_id="files_trash_empty")
def empty(request: HttpRequest, pk: str, payload: TrashToEmpty | None = None) -> HttpResponse:
    """For good."""
    ids = payload.ids if payload is not None else None
    return _answered(request, arranging.empty_trash(actor(request), uuid_of(pk, WHAT), ids))

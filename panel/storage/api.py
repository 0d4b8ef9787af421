"""/api/v1/environments/{id}/snapshots"""

from typing import Annotated, Any, Literal, cast

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Status

from panel.environments.accepted import WHAT, accepted
from panel.environments.answers import Accepted
from panel.environments.models import Environment
from panel.errors import Invalid, NotFound
from panel.http.answers import Json, ListOf
from panel.http.inputs import CheckedAs, Input
from panel.http.inputs import Query as Parameters
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.operations.selectors import show as show_operation
from panel.rights.asking import actor
from panel.serving.promised import document, promised
from panel.storage import answers, files, schedules, services
from panel.storage.models import Of, Schedule, Snapshot
from runtime.contract import Limits

router = Router()
schedules_router = Router()
_THIS = "This snapshot"


class NewSnapshot(Input):
    name: str = ""


class Restore(Input):
    keep_current: bool = True


class ToKeep(Input):
    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0


class NewSchedule(Input):
    environment: str = Field(default="", description="Of this one; or of a volume.")
    volume: str = ""
    cron: str
    keep: ToKeep = Field(
        default_factory=lambda: ToKeep(daily=7, weekly=4), description="Left out: 7 daily and 4 weekly ones."
    )
    is_on: bool = True
    takes: Literal["snapshots", "backups"] = "snapshots"
    target: str = Field(
        default="", max_length=255, description="Where backups go: by id, or by name within its tenant."
    )
    proves: Literal["never", "monthly", "each"] = Field(
        default="never", description="Which of the backups are proved by themselves."
    )


class ScheduleToChange(Input):
    cron: str | None = None
    keep: ToKeep | None = None
    is_on: bool | None = None
    target: str | None = Field(default=None, max_length=255)
    proves: Literal["never", "monthly", "each"] | None = None


class Clone(Input):
    name: str
    limits: Annotated[Json, CheckedAs(Limits)] | None = None
    plan: str = ""
    is_started: bool = True


def show(row: Snapshot) -> answers.Snapshot:
    return {
        "id": str(row.pk),
        "environment": str(row.environment_id),
        "name": row.name,
        "state": str(row.state),
        "reason": row.reason,
        "image": row.image,
        "created_at": row.created_at.isoformat(),
        "made_at": row.made_at.isoformat() if row.made_at else None,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
    }


def _environment(request: HttpRequest, pk: str) -> Environment:
    return Environment.objects.get_for(actor(request), uuid_of(pk, WHAT))


@router.get("/{pk}/snapshots", response=ListOf[answers.Snapshot], operation_id="snapshots_list")
def list_(request: HttpRequest, pk: str) -> ListOf[answers.Snapshot]:
    found = list(Snapshot.objects.filter(environment=_environment(request, pk)))
    return {"items": [show(one) for one in found], "count": len(found)}


@router.post("/{pk}/snapshots", response={202: answers.TakenSnapshot}, operation_id="snapshots_create")
def create(request: HttpRequest, pk: str, payload: NewSnapshot | None = None) -> Status[answers.TakenSnapshot]:
    """Of the disk as it is when the node comes to it. The environment goes on running."""
    name = payload.name if payload is not None else ""
    made, changed = services.take_snapshot(actor(request), uuid_of(pk, WHAT), name=name)
    operation = show_operation(changed.operation) if changed.operation else None
    return Status(202, {**show(made), "operation": operation})


@router.get("/{pk}/snapshots/{snapshot}", response=answers.Snapshot, operation_id="snapshots_get")
def get(request: HttpRequest, pk: str, snapshot: str) -> answers.Snapshot:
    found = Snapshot.objects.filter(environment=_environment(request, pk), pk=uuid_of(snapshot, _THIS)).first()
    if found is None:
        raise NotFound(_THIS)
    return show(found)


@router.delete("/{pk}/snapshots/{snapshot}", response={202: Accepted}, operation_id="snapshots_delete")
def delete(request: HttpRequest, pk: str, snapshot: str) -> Status[Accepted]:
    return accepted(
        request, services.delete_snapshot(actor(request), uuid_of(pk, WHAT), uuid_of(snapshot, _THIS))
    )


@router.post("/{pk}/snapshots/{snapshot}/restore", response={202: Accepted}, operation_id="snapshots_restore")
def restore(request: HttpRequest, pk: str, snapshot: str, payload: Restore | None = None) -> Status[Accepted]:
    """The disk as it was. With `keep_current` (the default) a snapshot of the disk as it is now is kept."""
    keeps = payload.keep_current if payload is not None else True
    changed = services.restore_snapshot(
        actor(request), uuid_of(pk, WHAT), uuid_of(snapshot, _THIS), keeps_current=keeps
    )
    return accepted(request, changed)


@router.post("/{pk}/snapshots/{snapshot}/clone", response={202: Accepted}, operation_id="snapshots_clone")
def clone(request: HttpRequest, pk: str, snapshot: str, payload: Clone) -> Status[Accepted]:
    """A new environment of the same tenant from it, on the same node."""
    changed = services.clone_snapshot(
        actor(request), uuid_of(pk, WHAT), uuid_of(snapshot, _THIS), **payload.model_dump()
    )
    return accepted(request, changed)


# files ----------------------------------------------------------------------------------------------


class Files(Parameters):
    snapshot: str = Field(default="", description="Whose files; empty: the environment's, as they are now.")
    path: str = Field(default="", description="As inside; empty: the top.")
    path64: str = Field(default="", description="In place of `path`: base64 of its bytes.")


class FilesPage(Files):
    after: str = Field(default="", description="The `next` of the page before.")
    limit: int = Field(default=200, ge=1, le=1000)


class ThisFile(Parameters):
    path: str = Field(default="", description="As inside.")
    path64: str = Field(default="", description="In place of `path`: base64 of its bytes.")


class FileToDelete(ThisFile):
    recursive: bool = Field(default=False, description="A directory with all that is in it.")


class Compared(Parameters):
    to: str = Field(default="", description="Another snapshot; empty: the environment as it is now.")
    limit: int = Field(default=1000, ge=1, le=5000)


class PathToPutBack(Input):
    path: str = ""
    path64: str = ""


def _answered(request: HttpRequest, asked: files.Asked[Any]) -> HttpResponse:
    async def answer() -> HttpResponse:
        return document(await asked.result())

    return promised(request, answer, asked.place)


@router.get("/{pk}/files", response=answers.FilePage, operation_id="files_list")
def list_files(request: HttpRequest, pk: str, page: Query[FilesPage]) -> HttpResponse:
    """A directory, by name."""
    asked = files.list_files(
        actor(request),
        uuid_of(pk, WHAT),
        page.snapshot,
        page.path,
        page.path64,
        after=page.after,
        most=page.limit,
    )
    return _answered(request, asked)


@router.get("/{pk}/files/content", response={200: None}, operation_id="files_content")
def file_content(request: HttpRequest, pk: str, file: Query[Files]) -> HttpResponse:
    """One file, byte for byte, as an attachment."""
    found = files.download_file(actor(request), uuid_of(pk, WHAT), file.snapshot, file.path, file.path64)
    return promised(request, found.answer, found.place)


@router.get("/{pk}/files/archive", response={200: None}, operation_id="files_archive")
def file_archive(request: HttpRequest, pk: str, file: Query[Files]) -> HttpResponse:
    """A directory with all that is in it, as a tar archive."""
    found = files.download_archive(actor(request), uuid_of(pk, WHAT), file.snapshot, file.path, file.path64)
    return promised(request, found.answer, found.place)


@router.put("/{pk}/files/content", response=answers.PutFile, operation_id="files_put")
def put_file(request: HttpRequest, pk: str, file: Query[ThisFile]) -> HttpResponse:
    """The body is the file's content, as application/octet-stream, of 1 MiB at most. Its directory is there;
    a file that is there keeps owner and mode. It runs or not."""
    asked = files.put_file(actor(request), uuid_of(pk, WHAT), file.path, file.path64, request.body)
    return _answered(request, asked)


@router.delete("/{pk}/files/content", response={204: None}, operation_id="files_delete")
def delete_file(request: HttpRequest, pk: str, file: Query[FileToDelete]) -> HttpResponse:
    """A file, a link or an empty directory."""
    asked = files.delete_file(
        actor(request), uuid_of(pk, WHAT), file.path, file.path64, recursive=file.recursive
    )

    async def answer() -> HttpResponse:
        await asked.result()
        return HttpResponse(status=204)

    return promised(request, answer, asked.place)


@router.get("/{pk}/snapshots/{snapshot}/changes", response=answers.Changes, operation_id="snapshots_changes")
def changes(request: HttpRequest, pk: str, snapshot: str, asked: Query[Compared]) -> HttpResponse:
    """What was added, changed and removed after it, and packages that have another version."""
    found = files.changes(
        actor(request), uuid_of(pk, WHAT), uuid_of(snapshot, _THIS), asked.to, most=asked.limit
    )
    return _answered(request, found)


@router.post("/{pk}/snapshots/{snapshot}/put-back", response=answers.PutBack, operation_id="snapshots_put_back")
def put_back(request: HttpRequest, pk: str, snapshot: str, payload: PathToPutBack) -> HttpResponse:
    """A file or directory of it, into the environment as it is now, running or not. What was added to a
    directory since stays in it."""
    asked = files.put_back(
        actor(request), uuid_of(pk, WHAT), uuid_of(snapshot, _THIS), payload.path, payload.path64
    )
    return _answered(request, asked)


# schedules ----------------------------------------------------------------------------------------

_THIS_SCHEDULE = "This schedule"


def show_schedule(row: Schedule) -> answers.Schedule:
    return {
        "id": str(row.pk),
        "environment": str(row.environment_id) if row.environment_id else None,
        "volume": str(row.volume_id) if row.volume_id else None,
        "tenant": str(row.tenant_id),
        "takes": row.takes,
        "target": str(row.target) if row.target else None,
        "proves": row.proves,
        "cron": row.cron,
        "keep": cast("answers.Kept", schedules.numbers_of(row)),
        "is_on": row.is_on,
        "next_at": row.next_at.isoformat() if row.is_on else None,
        "last_at": row.last_at.isoformat() if row.last_at else None,
        "problem": row.problem,
    }


def _schedule(request: HttpRequest, pk: str) -> Schedule:
    return Schedule.objects.get_for(actor(request), uuid_of(pk, _THIS_SCHEDULE))


@schedules_router.get("", response=ListOf[answers.Schedule], operation_id="schedules_list")
def list_schedules(request: HttpRequest, page: Query[Page]) -> ListOf[answers.Schedule]:
    return page_of(Schedule.objects.for_actor(actor(request)).order_by("next_at", "pk"), page, show_schedule)


@schedules_router.post("", response={201: answers.Schedule}, operation_id="schedules_create")
def create_schedule(request: HttpRequest, payload: NewSchedule) -> Status[answers.Schedule]:
    """Of snapshots or backups of an environment or a volume, by the clock of its tenant's time zone. It takes
    the place of the one that this has for the same."""
    if bool(payload.environment) == bool(payload.volume):
        raise Invalid(_("A schedule is of an environment or of a volume."), field="environment")
    of, text = (Of.VOLUME, payload.volume) if payload.volume else (Of.ENVIRONMENT, payload.environment)
    made = schedules.set_schedule(
        actor(request),
        uuid_of(text, "This volume" if payload.volume else WHAT),
        of=of,
        cron=payload.cron,
        keep=payload.keep.model_dump(),
        is_on=payload.is_on,
        takes=payload.takes,
        target=payload.target,
        proves=payload.proves,
    )
    return Status(201, show_schedule(made))


@schedules_router.get("/{pk}", response=answers.Schedule, operation_id="schedules_get")
def get_schedule(request: HttpRequest, pk: str) -> answers.Schedule:
    return show_schedule(_schedule(request, pk))


@schedules_router.patch("/{pk}", response=answers.Schedule, operation_id="schedules_update")
def update_schedule(request: HttpRequest, pk: str, payload: ScheduleToChange) -> answers.Schedule:
    row = _schedule(request, pk)
    known = show_schedule(row)
    changed = schedules.set_schedule(
        actor(request),
        row.subject_id,
        of=row.of,
        cron=known["cron"] if payload.cron is None else payload.cron,
        keep=schedules.numbers_of(row) if payload.keep is None else payload.keep.model_dump(),
        is_on=known["is_on"] if payload.is_on is None else payload.is_on,
        takes=row.takes,
        target=(known["target"] or "") if payload.target is None else payload.target,
        proves=row.proves if payload.proves is None else payload.proves,
    )
    return show_schedule(changed)


@schedules_router.delete("/{pk}", response={204: None}, operation_id="schedules_delete")
def delete_schedule(request: HttpRequest, pk: str) -> Status[None]:
    """What it took stays."""
    row = _schedule(request, pk)
    schedules.delete_schedule(actor(request), row.subject_id, row.takes, of=row.of)
    return Status(204, None)

"""/api/v1/backup-targets, /backups, /environments/{id}/backups"""

from typing import Annotated, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import Field

from panel.backups import answers, checks, files, proving, services, targets
from panel.backups import restore as restoring
from panel.backups.models import Backup, Target
from panel.environments.accepted import WHAT, accepted
from panel.environments.answers import Accepted
from panel.environments.models import Environment
from panel.errors import Invalid, NotFound
from panel.http.answers import Json, ListOf
from panel.http.inputs import CheckedAs, Input, Moment, Naming
from panel.http.inputs import Query as Parameters
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.operations.selectors import show as show_operation
from panel.rights.actor import Actor
from panel.rights.asking import actor
from panel.said import read, shown
from panel.serving.promised import document, promised
from panel.storage.answers import FilePage
from panel.tenants.selectors import tenant_of
from runtime.contract import Limits

targets_router = Router()
router = Router()
of_environment = Router()
_THIS, _THIS_TARGET = "This backup", "This target"


class NewTarget(Input):
    tenant: Naming
    name: str = Field(max_length=255, description="As environments are named; the directory is called by it.")
    kind: str = Field(default="directory", description="`directory`, `sftp`, `s3` or `node`.")
    node: str = Field(default="", max_length=255, description="By name or id; empty: the only one there is.")
    password: str = Field(
        default="", max_length=1024, description="Empty: one is made, and is in this answer alone."
    )
    host: str = Field(default="", max_length=253, description="Of `sftp`.")
    port: int | None = Field(default=None, description="22, where none is named.")
    user: str = Field(default="", max_length=64)
    path: str = Field(default="", max_length=512, description="A directory on the server.")
    host_key: str = Field(
        default="", max_length=2100, description="As `known_hosts` has it; empty: the first one shown is kept."
    )
    login_password: str = Field(default="", max_length=1024, description="For the server, or `private_key`.")
    private_key: str = Field(default="", max_length=65536, description="As ssh-keygen writes it, unlocked.")
    endpoint: str = Field(default="", max_length=300, description="Of `s3`: https://host.")
    bucket: str = Field(default="", max_length=63)
    prefix: str = Field(default="", max_length=512)
    region: str = Field(default="", max_length=64)
    access_key: str = Field(default="", max_length=256)
    secret_key: str = Field(default="", max_length=256)
    ca: str = Field(default="", max_length=65536, description="Certificates in PEM that vouch for it alone.")
    inward: bool = Field(default=False, description="At an address that is private (administrators).")


class ChangedTarget(Input):
    """What is left out stays."""

    host: str = Field(default="", max_length=253)
    port: int | None = None
    user: str = Field(default="", max_length=64)
    path: str = Field(default="", max_length=512)
    host_key: str = Field(default="", max_length=2100, description="Empty: the one that is known is forgotten.")
    login_password: str = Field(default="", max_length=1024)
    private_key: str = Field(default="", max_length=65536)
    endpoint: str = Field(default="", max_length=300)
    bucket: str = Field(default="", max_length=63)
    prefix: str = Field(default="", max_length=512)
    region: str = Field(default="", max_length=64)
    access_key: str = Field(default="", max_length=256)
    secret_key: str = Field(default="", max_length=256)
    ca: str = Field(default="", max_length=65536)
    inward: bool = Field(default=False, description="At an address that is private (administrators).")
    upload_mbit_s: int | None = Field(default=None, description="Null: no bound (administrators).")
    download_mbit_s: int | None = Field(default=None, description="Null: no bound (administrators).")


class NewBackup(Input):
    target: str = Field(max_length=255, description="By id, or by its name within the environment's tenant.")
    name: str = ""
    keep_days: int | None = Field(
        default=None, description="Deleted by itself so many days later; null: not by itself."
    )


class KeptBackup(Input):
    kept_until: Moment | None = Field(
        description="When it is deleted by itself, with its zone; null: not by itself."
    )


class RestoredFrom(Input):
    as_: Literal["new", "in_place"] = Field(default="in_place", alias="as")
    name: str = Field(default="", description="Of the new environment.")
    node: str = Field(
        default="", max_length=255, description="Of the new one, by name or id; empty: where there is room."
    )
    limits: Annotated[Json, CheckedAs(Limits)] | None = Field(
        default=None, description="Of the new one; null: those of the one backed up."
    )
    plan: str = ""
    is_started: bool = True


class HowToProve(Input):
    probe: list[str] = Field(
        default=[],
        max_length=64,
        description="A command that ends with 0 inside when all is well; empty: it has to start.",
    )


def show(row: Backup) -> answers.Backup:
    return {
        "id": str(row.pk),
        "environment": None if row.is_of_volume else str(row.of),
        "environment_name": row.of_name,
        "volume": str(row.of) if row.is_of_volume else None,
        "tenant": str(row.tenant_id),
        "target": str(row.target_id),
        "name": row.name,
        "state": str(row.state),
        "reason": row.reason,
        "image": row.document["image"],
        "snapshot": row.snapshot,
        "bytes": row.bytes,
        "added_bytes": row.added_bytes,
        "files": row.files,
        "created_at": row.created_at.isoformat(),
        "made_at": row.made_at.isoformat() if row.made_at else None,
        "kept_until": row.kept_until.isoformat() if row.kept_until else None,
        "kept_by": str(row.kept_by),
        "proved_at": row.proved_at.isoformat() if row.proved_at else None,
        "proof": show_proof(row),
    }


def show_proof(row: Backup) -> answers.Proof | None:
    if row.proof is None:
        return None
    return {
        "at": row.proof["at"],
        "is_proved": row.proof["is_proved"],
        "message": shown(read(row.proof["said"])),
        "screen": row.proof["screen"],
        "up_after_s": row.proof["up_after_s"],
    }


@targets_router.get("", response=ListOf[answers.BackupTarget], operation_id="backup_targets_list")
def list_targets(request: HttpRequest, page: Query[Page]) -> ListOf[answers.BackupTarget]:
    """Passwords are in no answer but that of the making."""
    return page_of(Target.objects.for_actor(actor(request)), page, targets.show)


@targets_router.post("", response={201: answers.NewBackupTarget}, operation_id="backup_targets_add")
def add_target(request: HttpRequest, payload: NewTarget) -> Status[answers.NewBackupTarget]:
    """A password that was made here is in the answer once: whoever has lost it and the panel has lost the
    backups."""
    who = actor(request)
    tenant = tenant_of(who, payload.tenant)
    row, made = targets.add_target(who, tenant, **payload.model_dump(exclude={"tenant"}))
    operation = checks.check_target(who, row.pk) if row.is_checked else None
    told = show_operation(operation) if operation is not None else None
    return Status(201, {**targets.show(row), "password": made or None, "operation": told})


@targets_router.get("/{pk}", response=answers.BackupTarget, operation_id="backup_targets_get")
def get_target(request: HttpRequest, pk: str) -> answers.BackupTarget:
    return targets.show(targets.found(actor(request), uuid_of(pk, _THIS_TARGET)))


@targets_router.patch("/{pk}", response=answers.BackupTarget, operation_id="backup_targets_change")
def change_target(request: HttpRequest, pk: str, payload: ChangedTarget) -> answers.BackupTarget:
    """Where a server lies, what opens it, whose key is believed; what goes there at most (administrators)."""
    changed = payload.model_dump(exclude_unset=True)
    return targets.show(targets.change_target(actor(request), uuid_of(pk, _THIS_TARGET), **changed))


@targets_router.post(
    "/{pk}/check", response={202: answers.CheckedBackupTarget}, operation_id="backup_targets_check"
)
def check_target(request: HttpRequest, pk: str) -> Status[answers.CheckedBackupTarget]:
    """It is reached, opened and written to; what is amiss, the operation says and the target."""
    who, of = actor(request), uuid_of(pk, _THIS_TARGET)
    operation = checks.check_target(who, of)
    return Status(202, {**targets.show(targets.found(who, of)), "operation": show_operation(operation)})


@targets_router.delete("/{pk}", response={204: None}, operation_id="backup_targets_remove")
def remove_target(request: HttpRequest, pk: str) -> Status[None]:
    """What lies there stays, and opens with its password; the panel forgets it."""
    targets.remove_target(actor(request), uuid_of(pk, _THIS_TARGET))
    return Status(204, None)


@router.get("", response=ListOf[answers.Backup], operation_id="backups_list_all")
def list_all(request: HttpRequest, page: Query[Page]) -> ListOf[answers.Backup]:
    """Of all environments and volumes, also of those that are gone."""
    return page_of(Backup.objects.for_actor(actor(request)).with_schedule(), page, show)


@router.get("/{pk}", response=answers.Backup, operation_id="backups_get")
def get(request: HttpRequest, pk: str) -> answers.Backup:
    return show(_found(actor(request), pk))


@router.patch("/{pk}", response=answers.Backup, operation_id="backups_change")
def change(request: HttpRequest, pk: str, payload: KeptBackup) -> answers.Backup:
    """How long it is kept. The environment may be gone."""
    services.keep(actor(request), uuid_of(pk, _THIS), payload.kept_until)
    return show(_found(actor(request), pk))


@router.delete("/{pk}", response={202: answers.ChangedBackup}, operation_id="backups_delete")
def delete(request: HttpRequest, pk: str) -> Status[answers.ChangedBackup]:
    """The last one of a protected environment is refused, as the environment's own deletion is."""
    operation = services.delete_backup(actor(request), uuid_of(pk, _THIS))
    return Status(202, {**show(_found(actor(request), pk)), "operation": show_operation(operation)})


class FilesOf(Parameters):
    path: str = Field(default="", description="As inside; empty: the top.")
    path64: str = Field(default="", description="In place of `path`: base64 of its bytes.")


class FilesPage(FilesOf):
    after: str = Field(default="", description="The `next` of the page before.")
    limit: int = Field(default=200, ge=1, le=1000)


class PathToPutBack(Input):
    path: str = ""
    path64: str = ""


@router.get("/{pk}/files", response=FilePage, operation_id="backups_files")
def list_files(request: HttpRequest, pk: str, page: Query[FilesPage]) -> HttpResponse:
    """A directory of it, by name."""
    asked = files.list_files(
        actor(request), uuid_of(pk, _THIS), page.path, page.path64, after=page.after, most=page.limit
    )

    async def answer() -> HttpResponse:
        return document(await asked.result())

    return promised(request, answer, asked.place)


@router.get("/{pk}/files/content", response={200: None}, operation_id="backups_file_content")
def file_content(request: HttpRequest, pk: str, file: Query[FilesOf]) -> HttpResponse:
    """One file, byte for byte, as an attachment."""
    found = files.download(actor(request), uuid_of(pk, _THIS), file.path, file.path64, is_archive=False)
    return promised(request, found.answer, found.place)


@router.get("/{pk}/files/archive", response={200: None}, operation_id="backups_file_archive")
def file_archive(request: HttpRequest, pk: str, file: Query[FilesOf]) -> HttpResponse:
    """A directory with all that is in it, as a tar archive."""
    found = files.download(actor(request), uuid_of(pk, _THIS), file.path, file.path64, is_archive=True)
    return promised(request, found.answer, found.place)


@router.post("/{pk}/put-back", response={202: answers.ChangedBackup}, operation_id="backups_put_back")
def put_back(request: HttpRequest, pk: str, payload: PathToPutBack) -> Status[answers.ChangedBackup]:
    """A file or directory of it, into its environment as it is now, running or not. What was added to a
    directory since stays in it."""
    operation = files.put_back(actor(request), uuid_of(pk, _THIS), payload.path, payload.path64)
    return Status(202, {**show(_found(actor(request), pk)), "operation": show_operation(operation)})


@router.post("/{pk}/prove", response={202: answers.ChangedBackup}, operation_id="backups_prove")
def prove(request: HttpRequest, pk: str, payload: HowToProve | None = None) -> Status[answers.ChangedBackup]:
    """A system is made of it on its node, apart and without a network, seen to start, and gone again."""
    probe = (payload or HowToProve()).probe
    operation = proving.prove(actor(request), uuid_of(pk, _THIS), probe=probe)
    return Status(202, {**show(_found(actor(request), pk)), "operation": show_operation(operation)})


@router.post("/{pk}/restore", response={202: Accepted}, operation_id="backups_restore")
def restore(request: HttpRequest, pk: str, payload: RestoredFrom | None = None) -> Status[Accepted]:
    """In the place of the environment's disk, of which a snapshot is kept, or as a new environment."""
    return _restore(request, uuid_of(pk, _THIS), payload or RestoredFrom())


@of_environment.get("/{pk}/backups", response=ListOf[answers.Backup], operation_id="environment_backups_list")
def list_(request: HttpRequest, pk: str) -> ListOf[answers.Backup]:
    of = _environment(request, pk).pk
    found = list(Backup.objects.for_actor(actor(request)).with_schedule().filter(of=of))
    return {"items": [show(one) for one in found], "count": len(found)}


@of_environment.post(
    "/{pk}/backups", response={202: answers.ChangedBackup}, operation_id="environment_backups_create"
)
def create(request: HttpRequest, pk: str, payload: NewBackup) -> Status[answers.ChangedBackup]:
    """Of the disk as it is when the node comes to it. The environment goes on running."""
    row = _environment(request, pk)
    target = targets.named_target(row, payload.target)
    made, operation = services.back_up(
        actor(request), row.pk, target.pk, name=payload.name, keep_days=payload.keep_days
    )
    return Status(202, {**show(made), "operation": show_operation(operation)})


@of_environment.get("/{pk}/backups/{backup}", response=answers.Backup, operation_id="environment_backups_get")
def get_of(request: HttpRequest, pk: str, backup: str) -> answers.Backup:
    return show(_found(actor(request), backup, uuid_of(pk, WHAT)))


@of_environment.delete(
    "/{pk}/backups/{backup}", response={202: answers.ChangedBackup}, operation_id="environment_backups_delete"
)
def delete_of(request: HttpRequest, pk: str, backup: str) -> Status[answers.ChangedBackup]:
    _found(actor(request), backup, uuid_of(pk, WHAT))
    return delete(request, backup)


@of_environment.post(
    "/{pk}/backups/{backup}/prove",
    response={202: answers.ChangedBackup},
    operation_id="environment_backups_prove",
)
def prove_of(
    request: HttpRequest, pk: str, backup: str, payload: HowToProve | None = None
) -> Status[answers.ChangedBackup]:
    """A system is made of it on its node, apart and without a network, seen to start, and gone again."""
    _found(actor(request), backup, uuid_of(pk, WHAT))
    return prove(request, backup, payload)


@of_environment.post(
    "/{pk}/backups/{backup}/restore", response={202: Accepted}, operation_id="environment_backups_restore"
)
def restore_of(
    request: HttpRequest, pk: str, backup: str, payload: RestoredFrom | None = None
) -> Status[Accepted]:
    """In the place of the environment's disk, of which a snapshot is kept, or as a new environment."""
    found = _found(actor(request), backup, uuid_of(pk, WHAT))
    return _restore(request, found.pk, payload or RestoredFrom())


def _restore(request: HttpRequest, backup: UUID, asked: RestoredFrom) -> Status[Accepted]:
    who = actor(request)
    if asked.as_ == "in_place":
        if asked.name or asked.limits or asked.plan or asked.node:
            raise Invalid(
                _('Name, node, limits and plan are of a new environment: say "as": "new".'), field="as"
            )
        return accepted(request, restoring.restore_in_place(who, backup))
    values = asked.model_dump(exclude={"as_"})
    return accepted(request, restoring.restore_as_new(who, backup, **values))


def _environment(request: HttpRequest, pk: str) -> Environment:
    return Environment.objects.select_related("tenant").get_for(actor(request), uuid_of(pk, WHAT))


def _found(who: Actor, pk: str, of: UUID | None = None) -> Backup:
    row = Backup.objects.for_actor(who).filter(pk=uuid_of(pk, _THIS)).first()
    if row is None or of not in (None, row.of):
        raise NotFound(_THIS)
    return row

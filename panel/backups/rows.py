"""Rows of tables of backups: what may be done with each, and its own forms."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.http import QueryDict
from django.urls import reverse

from panel.backups import keeping
from panel.backups.forms import DeleteBackupForm, KeepForm, NewFromBackupForm, NewVolumeFromBackupForm
from panel.backups.models import Backup, Target
from panel.nodes.models import Node
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.storage.kept import uses
from runtime.contract import Kind

#: What a row of the table asks of a backup.
SHOWN_WITH = ("target", "created_by", "environment__tenant", "volume", "tenant")


def rows_of(
    actor: Actor, backups: Iterable[Backup], of: UUID | None = None, refused: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """`refused`: forms (`new`, `keep`, `delete`) of the backup `of`."""
    known = list(backups)
    nodes = list(Node.objects.all()) if known else []
    last = keeping.last_of([one for one in known if not one.is_of_volume])
    return [
        {**_row(actor, one, nodes, (refused or {}) if one.pk == of else {}), "is_last": one.pk in last}
        for one in known
    ]


def _row(actor: Actor, row: Backup, nodes: Sequence[Node], refused: Mapping[str, Any]) -> dict[str, Any]:
    may = actor.can(Permission.BACKUP_MANAGE, row.environment or row.tenant)
    form = refused.get("new") or new_form(row, nodes=nodes)
    of = _of_volume if row.is_of_volume else _of_environment
    return {
        "row": row,
        **of(actor, row, may=may, form=form, is_open="new" in refused),
        "typed": refused.get("delete") or typed_form(row),
        "types": "delete" in refused,
        "may_keep": may,
        "keep": refused.get("keep") or keep_form(row),
        "keeps": "keep" in refused,
    }


def _of_environment(actor: Actor, row: Backup, *, may: bool, **form: Any) -> dict[str, Any]:
    place = row.environment or row.tenant
    lives = row.environment is not None and row.environment.deleted_at is None
    may_look = actor.can(Permission.ENVIRONMENT_EXEC, place)
    may_restore = may and lives and actor.can(Permission.ENVIRONMENT_REINSTALL, place)
    may_new = may and may_look and actor.can(Permission.ENVIRONMENT_CREATE, row.tenant)
    return {
        **uses(
            row.pk,
            back="backup-restore" if may_restore else "",
            new="backup-new" if may_new else "",
            **form,
        ),
        "files": _at("backup-files", row, lives and may_look),
        "may_prove": may and may_look and row.document["kind"] == Kind.SYSTEM,
        "delete": _at("backup-delete", row, may),
    }


def _of_volume(actor: Actor, row: Backup, *, may: bool, **form: Any) -> dict[str, Any]:
    may = may and actor.can(Permission.VOLUME_MANAGE, row.tenant)
    may_restore = may and row.volume is not None
    return {
        **uses(
            row.pk,
            back="volume-backup-restore" if may_restore else "",
            new="volume-backup-new" if may else "",
            **form,
        ),
        "files": _at("volume-backup-files", row, actor.can(Permission.ENVIRONMENT_EXEC, row.tenant)),
        "delete": _at("volume-backup-delete", row, may),
    }


def _at(route: str, row: Backup, may: bool) -> str:
    return reverse(route, args=(row.pk,)) if may else ""


# each row has its own: their fields have ids of their own ---------------------------------------------


def new_form(
    row: Backup, sent: QueryDict | None = None, *, nodes: Sequence[Node] | None = None
) -> NewVolumeFromBackupForm | NewFromBackupForm:
    """`nodes`: all that there are; None: they are looked for."""
    known = list(Node.objects.all()) if nodes is None else nodes
    may_have = [] if row.target.kind == Target.Kind.DIRECTORY else known
    form = NewVolumeFromBackupForm if row.is_of_volume else NewFromBackupForm
    return form(sent, auto_id=f"id_{row.pk}_%s", nodes=may_have)


def keep_form(row: Backup, sent: QueryDict | None = None) -> KeepForm:
    return KeepForm(sent, auto_id=f"id_keep_{row.pk}_%s")


def typed_form(row: Backup, sent: QueryDict | None = None) -> DeleteBackupForm:
    return DeleteBackupForm(sent, auto_id=f"id_delete_{row.pk}_%s")

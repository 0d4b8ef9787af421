"""Words by which people find their environments. The node has nothing to do with them."""

import re
from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.environments.models import Environment, EnvironmentTag
from panel.environments.services.intent import Changed, announce, locked
from panel.errors import Invalid
from panel.rights.actor import Actor
from panel.rights.permissions import Permission

_TAG = re.compile(r"[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9])?")
_MOST_TAGS = 20


def check_tags(names: Iterable[str]) -> list[str]:
    """Sorted and each once; raises `Invalid` that names the first bad one."""
    wanted = sorted({name.strip() for name in names} - {""})
    for name in wanted:
        if not _TAG.fullmatch(name):
            raise Invalid(
                _(
                    "%(tag)s is no tag: it has 1 to 32 lower-case letters, digits, dots, hyphens and "
                    "underscores, and a letter or digit at either end."
                )
                % {"tag": name[:40]},
                field="tags",
            )
    if len(wanted) > _MOST_TAGS:
        raise Invalid(
            _("An environment has at most %(most)s tags; this would be %(count)s.")
            % {"most": _MOST_TAGS, "count": len(wanted)},
            field="tags",
        )
    return wanted


def tag_environment(
    actor: Actor, environment_id: UUID, *, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> Changed:
    """Give it some tags and take others away; a no-op where it is so already. Audited."""
    new, old = check_tags(add), check_tags(remove)
    with transaction.atomic():
        row = locked(actor, environment_id)
        actor.require(Permission.ENVIRONMENT_CHANGE, row)
        replace_tags(actor, row, (tags_of(row) | set(new)) - set(old))
    return Changed(row, None)


def replace_tags(actor: Actor, row: Environment, names: Iterable[str]) -> bool:
    """These and no others, of a locked row; whether they differ from what was. Audited where they do."""
    wanted, before = check_tags(names), tags_of(row)
    if before == set(wanted):
        return False
    row.tags.exclude(name__in=wanted).delete()
    give_tags(row, [name for name in wanted if name not in before])
    record(
        actor,
        "environment.tags",
        tenant_id=row.tenant_id,
        target=row,
        before={"tags": sorted(before)},
        after={"tags": wanted},
    )
    announce(row)
    return True


def give_tags(row: Environment, names: Iterable[str]) -> None:
    """Checked tags that it doesn't have yet."""
    EnvironmentTag.objects.bulk_create(
        EnvironmentTag(environment=row, tenant_id=row.tenant_id, name=name) for name in names
    )


def tags_of(row: Environment) -> set[str]:
    return set(row.tags.values_list("name", flat=True))

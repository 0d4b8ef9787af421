"""How long backups stay, and which is the last one of its environment."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from panel.backups.models import Backup
from panel.errors import Invalid

MOST_DAYS = 3650


def after_days(days: int | None) -> datetime | None:
    """Raises `Invalid`."""
    if days is None:
        return None
    if not 1 <= days <= MOST_DAYS:
        raise Invalid(_("1 to %(most)s days.") % {"most": MOST_DAYS}, field="keep_days")
    return timezone.now() + timedelta(days=days)


def checked(until: datetime | None) -> datetime | None:
    """Raises `Invalid`."""
    if until is None:
        return None
    if until.tzinfo is None:
        raise Invalid(_("Say the zone of the time as well: 2030-01-31T00:00:00Z."), field="kept_until")
    now = timezone.now()
    if not now < until <= now + timedelta(days=MOST_DAYS):
        raise Invalid(
            _("It is kept until a time to come, in %(most)s days at most.") % {"most": MOST_DAYS},
            field="kept_until",
        )
    return until


def is_last(row: Backup) -> bool:
    """No other one of its environment is ready."""
    others = Backup.objects.filter(of=row.of, made_at__isnull=False, is_going=False)
    return not others.exclude(pk=row.pk).exists()


def last_of(rows: Sequence[Backup]) -> set[UUID]:
    """Of these, those that are the last of their environments; one query."""
    ready = Backup.objects.filter(of__in={row.of for row in rows}, made_at__isnull=False, is_going=False)
    seen: dict[UUID, list[UUID]] = {}
    for pk, of in ready.values_list("pk", "of"):
        seen.setdefault(of, []).append(pk)
    return {pks[0] for pks in seen.values() if len(pks) == 1}


def is_held(row: Backup) -> bool:
    """The last one of an environment that somebody protects from being lost."""
    lives = row.environment is not None and row.environment.deleted_at is None
    return lives and bool(row.environment and row.environment.intent.get("protected")) and is_last(row)

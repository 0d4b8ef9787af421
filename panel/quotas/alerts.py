"""Telling people that a quota fills up: at 80, 95 and 100 percent, once for each crossing."""

from collections.abc import Iterable

import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Case, F, IntegerField, QuerySet, Value, When
from django.utils.translation import gettext as _

from panel import events
from panel.accounts.models import User
from panel.accounts.reader import as_read_by
from panel.quotas.labels import resource_label
from panel.quotas.models import Quota
from panel.quotas.units import shown
from panel.rights.permissions import RoleName

log = structlog.get_logger()

LEVELS = (80, 95, 100)
#: Who gets a letter. Owners of tenants above see it on the page of theirs when that fills up.
_TOLD = (RoleName.OWNER, RoleName.ADMINISTRATOR, RoleName.BILLING)
_MOST_PER_TICK = 500


def level_of(reserved: int, most: int | None) -> int:
    """100, 95, 80 or 0: the highest level that is reached. A limit of 0 alarms nobody until it is passed."""
    if most is None or most == 0:
        return 100 if most == 0 and reserved > 0 else 0
    return next((level for level in reversed(LEVELS) if reserved * 100 >= most * level), 0)


def sweep() -> int:
    """Tell of what was crossed since the last time, and forget what is below again. How many were told."""
    told = 0
    for pk in list(_differing().values_list("pk", flat=True)[:_MOST_PER_TICK]):
        with transaction.atomic():
            row = Quota.objects.select_for_update(of=("self",)).select_related("tenant").get(pk=pk)
            most = None if row.limit is None else row.limit * row.overbook_percent // 100
            now = level_of(row.reserved, most)
            before, row.alerted = row.alerted, now
            if now == before:
                continue
            row.save(update_fields=["alerted"])
            events.publish("quota", row.tenant_id, row.tenant_id, resource=row.resource, level=now)
            if now > before:
                _write_on_commit(row, now, most or 0)
                told += 1
    return told


def _differing() -> QuerySet[Quota]:
    """Rows whose level isn't the one that was told."""
    held, most = F("reserved") * 10_000, F("limit") * F("overbook_percent")
    steps = [When(held__gte=F("most") * level, then=Value(level)) for level in reversed(LEVELS)]
    level = Case(
        When(limit=None, then=Value(0)),
        When(limit=0, reserved=0, then=Value(0)),
        *steps,
        default=Value(0),
        output_field=IntegerField(),
    )
    return Quota.objects.annotate(held=held, most=most).annotate(level=level).exclude(alerted=F("level"))


def _write_on_commit(row: Quota, level: int, most: int) -> None:
    people = list(
        User.objects.filter(memberships__tenant=row.tenant, memberships__role__in=_TOLD, is_active=True)
        .exclude(email="")
        .distinct()
    )
    transaction.on_commit(lambda: _write(people, row, level, most), robust=True)


def _write(people: Iterable[User], row: Quota, level: int, most: int) -> None:
    """A letter to each in his language and time zone."""
    for person in people:
        with as_read_by(person):
            values = {
                "tenant": row.tenant.name,
                "what": resource_label(row.resource),
                "level": level,
                "held": f"{shown(row.resource, row.reserved):g}",
                "limit": f"{shown(row.resource, most):g}",
                "url": f"{settings.WADAH.url.rstrip('/')}/tenants/{row.tenant_id}/",
            }
            subject = _("%(tenant)s: %(level)s %% of its quota of %(what)s is handed out") % values
            body = _(
                "Of the quota of %(what)s, %(held)s of %(limit)s are handed out. When it is full, nothing "
                "new can be created.\n\nWhat takes how much: %(url)s\n"
            )
            try:
                send_mail(" ".join(subject.split()), body % values, None, [person.email])
            except OSError as error:  # the mail server is away: the page shows the alert anyway
                log.warning("alert not sent", tenant=str(row.tenant_id), error=type(error).__name__)

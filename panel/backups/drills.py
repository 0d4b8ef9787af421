"""The monthly letter about proofs: whose backup was seen to start, and whose was not."""

from collections.abc import Iterable
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from panel.accounts.models import User
from panel.accounts.reader import as_read_by
from panel.backups.models import Backup, DrillReport
from panel.rights.permissions import RoleName
from panel.storage.models import Schedule, Takes
from panel.tenants.models import Tenant

log = structlog.get_logger()

#: Tenants of one look of the beat, and environments that a letter names one by one.
_MOST_AT_ONCE, _MOST_NAMED = 20, 200
_TOLD = (RoleName.OWNER, RoleName.ADMINISTRATOR)


def report_due() -> int:
    """Writes what is due to each tenant that backs up by a schedule, by its own clock; how many letters' worth
    of tenants. In the month that it began with schedules there is nothing to tell yet."""
    now, written = timezone.now(), 0
    scheduled = _of_environments().filter(is_on=True).values("tenant")
    told = DrillReport.objects.filter(month=_month_before(now.date())).values("tenant")
    for tenant in Tenant.objects.filter(pk__in=scheduled).exclude(pk__in=told)[:_MOST_AT_ONCE]:
        month = _month_before(now.astimezone(ZoneInfo(tenant.time_zone)).date())
        with transaction.atomic():
            is_first = not DrillReport.objects.filter(tenant=tenant).exists()
            if DrillReport.objects.get_or_create(tenant=tenant, month=month)[1] and not is_first:
                _write_on_commit(tenant, month)
                written += 1
    return written


def _of_environments() -> QuerySet[Schedule]:
    """A volume starts nothing, so nothing of it is proved."""
    return Schedule.objects.filter(takes=Takes.BACKUPS, environment__isnull=False)


def _month_before(day: date) -> date:
    return (day.replace(day=1) - timedelta(days=1)).replace(day=1)


def _write_on_commit(tenant: Tenant, month: date) -> None:
    people = User.objects.filter(memberships__tenant=tenant, memberships__role__in=_TOLD, is_active=True)
    told = list(people.exclude(email="").distinct())
    transaction.on_commit(lambda: _write(told, tenant, month), robust=True)


def _write(people: Iterable[User], tenant: Tenant, month: date) -> None:
    """A letter to each in his language and time zone."""
    for person in people:
        with as_read_by(person):
            values = {"tenant": tenant.name, "month": date_format(month, "F Y")}
            subject = _("%(tenant)s: proofs of backups, %(month)s") % values
            body = "\n".join(
                (
                    _("Backups by schedule, and whether a system made of them was seen to start:"),
                    "",
                    *_lines(tenant),
                    "",
                    f"{settings.WADAH.url.rstrip('/')}/backups/",
                    "",
                )
            )
            try:
                send_mail(" ".join(subject.split()), body, None, [person.email])
            except OSError as error:  # the mail server is away: the pages have the seals anyway
                log.warning("drill report not sent", tenant=str(tenant.pk), error=type(error).__name__)


def _lines(tenant: Tenant) -> Iterable[str]:
    schedules = _of_environments().filter(tenant=tenant).select_related("environment")
    for one in schedules.order_by("environment__name")[:_MOST_NAMED]:
        assert one.environment is not None
        rows = Backup.objects.filter(of=one.environment.pk, made_at__isnull=False)
        tried = rows.filter(proof__isnull=False).order_by("-proof__at").first()
        yield f"- {one.environment.name}: {_told_of(rows.first(), tried)}"


def _told_of(newest: Backup | None, tried: Backup | None) -> str:
    if newest is None:
        return _("no backup")
    if tried is None or tried.proof_at is None:
        return _("never proved")
    values = {"backup": tried.name, "day": date_format(timezone.localtime(tried.proof_at), "j F Y")}
    if tried.proof is not None and tried.proof["is_proved"]:
        return _("proved on %(day)s (backup %(backup)s)") % values
    return _("THE PROOF FAILED on %(day)s (backup %(backup)s)") % values

"""How many deeds a tenant, or a person beside any tenant, may do in an hour.

Each deed leaves rows that nobody may delete (the audit record) or that are kept for months (operations).
Whoever does a thousand a minute would fill the database's disk, and with it the panel of all others.
"""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from django.db.models import BigIntegerField, UUIDField
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.audit.models import AuditRecord
from panel.errors import TooMany
from panel.prepared import Given, Prepared
from panel.rights.actor import Actor

HOUR = timedelta(hours=1)
#: Refused to nobody: to take away what was made, which there can't be more of than was made, and to sign in.
ALWAYS = (
    *(".delete", ".remove", ".revoke", ".end", ".retire", ".stop", ".pause", ".suspend", ".delete_later"),
    *("session.begin", "password.change", "password.set", "password.reset"),
)
_AT = Prepared(
    lambda: (
        AuditRecord.objects.filter(
            chain=Given("chain", UUIDField()), sequence=Given("sequence", BigIntegerField())
        )
        .order_by()
        .values_list("at", flat=True)
    )
)


def admit(actor: Actor, action: str, tenant_id: UUID | None, sequence: int) -> None:
    """One more, after a chain of so many. Raises `TooMany`; the transaction then takes back what was done.

    Administrators of the installation are never refused. One query, and none in a chain that is short.
    """
    if action.endswith(ALWAYS) or actor.is_platform_administrator:
        return
    most = settings.WADAH.deeds_per_hour
    is_over = _of_tenant(tenant_id, sequence, most) if tenant_id else counted(f"deeds:{actor.user.pk}") > most
    if is_over:
        raise TooMany(
            _("There were %(most)s changes and commands within an hour; that is as many as may be.")
            % {"most": most},
            next_step=_("Wait a few minutes, or ask an administrator to raise WADAH_DEEDS_PER_HOUR."),
            code="too_many_deeds",
        )


def _of_tenant(tenant_id: UUID, sequence: int, most: int) -> bool:
    """Whether the last `most` records of its chain are all of this hour. One that lies ahead, since the clock
    was set back, isn't."""
    if sequence < most:
        return False
    at, now = _AT.first(chain=tenant_id, sequence=sequence - most + 1), timezone.now()
    return at is not None and now - HOUR < at <= now


def counted(key: str) -> int:
    """One more within the hour, in the cache; 0 while that is away, when nothing is counted."""
    try:
        return int(cache.incr(key))
    except ValueError:  # the first of this hour
        cache.add(key, 1, int(HOUR.total_seconds()))
        return 1
    except Exception:
        return 0

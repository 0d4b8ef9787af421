"""Support access: an administrator in a tenant's view. The tenant sees it, and it ends by itself.

It takes rights away rather than giving some: meanwhile he may only what `SUPPORT` names, in this tenant alone.
"""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from panel import events
from panel.access.models import SupportAccess
from panel.accounts.models import Token
from panel.accounts.token_text import digest_of, new_secret, text_of
from panel.audit.services import record
from panel.errors import Forbidden, Invalid, NotFound
from panel.rights.actor import Actor
from panel.rights.permissions import SUPPORT, Permission
from panel.tenants.models import Tenant
from panel.text import line

SHORTEST_MINUTES, LONGEST_MINUTES = 5, 8 * 60


def enter(actor: Actor, tenant: Tenant, *, reason: str, minutes: int) -> SupportAccess:
    """The caller keeps its id in the session, or asks for a token. One that still runs there is ended."""
    if not actor.is_platform_administrator:
        raise Forbidden(Permission.USER_MANAGE, tenant_id=tenant.pk, target=tenant)
    text = line(" ".join(reason.split()), field="reason", most=2000, least=0)
    if not 5 <= len(text) <= 400:
        raise Invalid(_("Say in 5 to 400 characters what it is for: the tenant reads it."), field="reason")
    if not SHORTEST_MINUTES <= minutes <= LONGEST_MINUTES:
        raise Invalid(
            _("It lasts %(shortest_minutes)s to %(longest_minutes)s minutes.")
            % {"shortest_minutes": SHORTEST_MINUTES, "longest_minutes": LONGEST_MINUTES},
            field="minutes",
        )
    now = timezone.now()
    with transaction.atomic():
        for old in SupportAccess.objects.running().filter(tenant=tenant, user=actor.user):
            _end(old, actor)
        row = SupportAccess.objects.create(
            tenant=tenant, user=actor.user, reason=text, ends_at=now + timedelta(minutes=minutes)
        )
        record(
            actor,
            "support.enter",
            tenant_id=tenant.pk,
            target=tenant,
            after={"reason": text, "ends_at": row.ends_at.isoformat(), "support": str(row.pk)},
        )
        events.publish("support", row.pk, tenant.pk)
        events.rights_changed(actor.user.pk)
    return row


def enter_by_token(actor: Actor, tenant: Tenant, *, reason: str, minutes: int) -> tuple[SupportAccess, str]:
    """Enters, and the text of a token that speaks in this access alone and ends with it. It is shown this once.

    The asker's own session or token stays as it is: what is to be marked is done with the new one.
    """
    secret = new_secret()
    with transaction.atomic():
        row = enter(actor, tenant, reason=reason, minutes=minutes)
        opener = actor.token.expires_at if actor.token is not None else None
        end = min(row.ends_at, opener or row.ends_at)
        token = Token.objects.create(
            name=row.reason[:120],
            user=actor.user,
            tenant=tenant,
            support=row,
            opened_by=actor.token,
            permissions=sorted(SUPPORT),
            digest=digest_of(secret),
            networks=actor.token.networks if actor.token is not None else [],
            expires_at=end,
        )
        after = {"support": str(row.pk), "expires_at": end.isoformat(), "networks": token.networks}
        record(actor, "token.create", tenant_id=tenant.pk, target=token, after=after)
    return row, text_of(token, secret)


def end(actor: Actor, support_id: UUID) -> SupportAccess:
    """By the administrator himself, or by who manages the tenant's people. Over already: a no-op."""
    with transaction.atomic():
        rows = SupportAccess.objects.select_for_update(of=("self",)).select_related("tenant", "user")
        row = rows.filter(pk=support_id).first()
        is_in_it = actor.support is not None and row is not None and actor.support.pk == row.pk
        is_own = is_in_it or (row is not None and row.user_id == actor.user.pk and actor.speaks_for_its_person)
        if row is None or not (is_own or actor.can(Permission.MEMBER_VIEW, row.tenant)):
            raise NotFound(_("This support access"))
        if not is_own:
            actor.require(Permission.MEMBER_MANAGE, row.tenant)
        if row.is_running():
            _end(row, actor)
    return row


def accesses(
    actor: Actor, *, is_running: bool | None = None, is_own: bool = False
) -> "QuerySet[SupportAccess]":
    """To the tenants whose people the actor sees, the newest first."""
    rows = SupportAccess.objects.for_actor(actor).select_related("user", "tenant")
    if is_own:
        rows = rows.filter(user=actor.user)
    if is_running is None:
        return rows
    running = SupportAccess.objects.running()
    return rows.filter(pk__in=running) if is_running else rows.exclude(pk__in=running)


def _end(row: SupportAccess, actor: Actor) -> None:
    row.ended_at, row.ended_by = timezone.now(), actor.name
    row.save(update_fields=["ended_at", "ended_by"])
    record(actor, "support.end", tenant_id=row.tenant_id, target=row.tenant, after={"support": str(row.pk)})
    events.publish("support", row.pk, row.tenant_id)
    events.rights_changed(row.user_id)

"""API tokens: made, seen, revoked."""

import ipaddress
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from panel import events
from panel.accounts.models import Token
from panel.accounts.token_text import digest_of, new_secret, text_of
from panel.audit.services import record
from panel.clock.services import oldest
from panel.environments.models import Environment
from panel.errors import Conflict, Invalid, NotFound
from panel.rights.actor import Actor
from panel.rights.giving import check_permissions, require_all
from panel.rights.permissions import EVERYTHING, ROLES, Permission, RoleName
from panel.tenants.models import Tenant
from panel.text import line

LONGEST = timedelta(days=366)
DEFAULT_LIFE = timedelta(days=90)
#: Each request by a token looks through its own, and one that a token makes compares all with all.
MOST_NETWORKS = 50
#: Of one person that work; and environments that one is for, each of which is looked up.
MOST, MOST_ENVIRONMENTS = 500, 500
#: Tokens that ended or were revoked are forgotten after this.
KEPT = timedelta(days=90)
_PIECE = 500

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def create_token(
    actor: Actor,
    *,
    tenant: Tenant | None,
    name: str = "",
    role: str = "",
    permissions: Sequence[str] = (),
    expires_at: datetime | None = None,
    networks: Sequence[str] = (),
    environments: Sequence[str] = (),
) -> tuple[Token, str]:
    """The row and the token's text, which is shown this once. It never may more than its maker.

    With `environments` it is for those alone. Without `expires_at` it ends after 90 days; it lasts a year
    at most. One that is made by a token works from no more networks, and no longer, than that one.
    """
    actor.require(Permission.TOKEN_MANAGE, tenant)
    wanted = _permissions(actor, tenant, role, permissions)
    end = _end(actor, expires_at)
    secret = new_secret()
    token = Token(
        id=uuid.uuid4(),
        name=line(name, most=120, least=0),
        user=actor.user,
        tenant=tenant,
        opened_by=actor.token,
        permissions=wanted,
        digest=digest_of(secret),
        networks=_networks(actor, networks),
        environments=_environments(actor, tenant, environments),
        expires_at=end,
    )
    with transaction.atomic():
        _refuse_many(actor)
        token.save(force_insert=True)
        record(
            actor,
            "token.create",
            tenant_id=tenant.pk if tenant else None,
            target=token,
            after={
                "permissions": wanted,
                "expires_at": end.isoformat(),
                "networks": token.networks,
                "environments": token.environments,
            },
        )
    return token, text_of(token, secret)


def _refuse_many(actor: Actor) -> None:
    working = Token.objects.filter(user=actor.user, revoked_at=None)
    if working.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now())).count() >= MOST:
        raise Conflict(
            _("You have %(most)s tokens that work already.") % {"most": MOST},
            code="too_many",
            next_step=_("Revoke some first."),
        )


def forget_ended() -> int:
    """Those that have opened none that is still kept; how many. In pieces, so that nobody waits long."""
    before = oldest(KEPT)
    ended = Token.objects.filter(Q(revoked_at__lt=before) | Q(expires_at__lt=before), opened=None).order_by()
    count = 0
    while pks := list(ended.values_list("pk", flat=True)[:_PIECE]):
        count += Token.objects.filter(pk__in=pks).delete()[0]
    return count


def _permissions(actor: Actor, tenant: Tenant | None, role: str, permissions: Sequence[str]) -> list[str]:
    if bool(role) == bool(permissions):
        raise Invalid(_("Give either a role or a list of permissions."), field="role")
    if role:
        if role not in ROLES:
            raise Invalid(_("The role is one of %(roles)s.") % {"roles": ", ".join(ROLES)}, field="role")
        wanted = sorted(ROLES[RoleName(role)])
    elif list(permissions) == [EVERYTHING] and actor.is_platform_administrator:
        return [EVERYTHING]
    else:
        wanted = [Permission(p) for p in check_permissions(permissions)]
    require_all(actor, wanted, tenant)
    return [str(p) for p in wanted]


def _end(actor: Actor, wanted: datetime | None) -> datetime:
    now = timezone.now()
    makers = actor.token.expires_at if actor.token is not None else None
    end = wanted or min(now + DEFAULT_LIFE, makers or now + DEFAULT_LIFE)
    if timezone.is_naive(end) or not now < end <= now + LONGEST:
        raise Invalid(_("expires_at is a time with zone, in the future and within a year."), field="expires_at")
    if makers is not None and end > makers:
        raise Invalid(
            _("A token that a token makes ends no later than that one: %(end)s.")
            % {"end": timezone.localtime(makers).isoformat()},
            field="expires_at",
            next_step=_("Make it on the page of tokens."),
        )
    return end


def _networks(actor: Actor, networks: Sequence[str]) -> list[str]:
    if len(networks) > MOST_NETWORKS:
        raise Invalid(
            _("A token works from at most %(most)s networks.") % {"most": MOST_NETWORKS}, field="networks"
        )
    if any("%" in network for network in networks):  # a zone may be any text, and no client comes with one
        raise Invalid(_("A network has no zone, which is what follows a percent sign."), field="networks")
    try:
        wanted = [ipaddress.ip_network(network) for network in networks]
    except ValueError as error:
        raise Invalid(_("networks: %(error)s.") % {"error": error}, field="networks") from error
    makers = [ipaddress.ip_network(text) for text in actor.token.networks] if actor.token is not None else []
    if makers and not all(any(_is_inside(one, outer) for outer in makers) for one in wanted):
        raise Invalid(
            _("A token that a token makes works only from networks of that one: %(networks)s.")
            % {"networks": ", ".join(str(one) for one in makers)},
            field="networks",
        )
    return [str(one) for one in wanted or makers]


def _is_inside(one: Network, outer: Network) -> bool:
    return one.version == outer.version and one.subnet_of(outer)  # type: ignore[arg-type]  # of one version


def _environments(actor: Actor, tenant: Tenant | None, environments: Sequence[str]) -> list[str]:
    """Ids of environments that the actor sees, in this tenant or below it."""
    if len(environments) > MOST_ENVIRONMENTS:
        raise Invalid(
            _("A token is for at most %(most)s environments.") % {"most": MOST_ENVIRONMENTS},
            field="environments",
        )
    rows = Environment.objects.for_actor(actor).living()
    if tenant is not None:
        rows = rows.filter(tenant__path__startswith=tenant.path)
    return [str(rows.get_for(actor, one).pk) for one in dict.fromkeys(environments)]


def tokens_seen(actor: Actor) -> QuerySet[Token]:
    """That work: one's own, and those of the tenants whose tokens one sees; the newest first.

    Of its person's own a bound token sees itself alone.
    """
    own = Q(user=actor.user) if actor.speaks_for_its_person else Q(pk=actor.token.pk if actor.token else None)
    seen = own | Q(pk__in=Token.objects.for_actor(actor).values("pk"))
    return Token.objects.filter(seen, revoked_at=None).select_related("tenant", "user").order_by("-created_at")


def revoke_token(actor: Actor, token_id: UUID) -> Token:
    """It is refused from now on, and so is what it opened; its sockets close. Asked again: a no-op."""
    with transaction.atomic():
        token = _own_or_managed(actor, token_id)
        if token.revoked_at is None:
            token.revoked_at = timezone.now()
            token.save(update_fields=["revoked_at"])
            record(actor, "token.revoke", tenant_id=token.tenant_id, target=token)
            events.rights_changed(token.user_id)
    return token


def _own_or_managed(actor: Actor, token_id: UUID) -> Token:
    """One's own token, or one of a tenant where the actor manages tokens. Of its person's a bound token is its
    own alone."""
    found = Token.objects.select_related("tenant").filter(pk=token_id).first()
    if found is not None:
        is_own = found.user_id == actor.user.pk and actor.speaks_for_its_person
        if is_own or (actor.token is not None and actor.token.pk == found.pk):
            return found
        if Token.objects.for_actor(actor, Permission.TOKEN_MANAGE).filter(pk=token_id).exists():
            return found
        if found.tenant is not None and actor.can(Permission.TOKEN_VIEW, found.tenant):
            actor.require(Permission.TOKEN_MANAGE, found.tenant)
    raise NotFound(_("This token"))

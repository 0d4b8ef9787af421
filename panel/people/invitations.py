"""Inviting by e-mail: to a role in a tenant, or to one environment. The link is the only way in."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.core import mail, signing
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from panel import events
from panel.access.models import Invitation, Share
from panel.accounts.mail_address import mail_address
from panel.accounts.models import User
from panel.accounts.services import checked_user, has_address, save_user
from panel.audit.models import AuditRecord
from panel.audit.services import record
from panel.environments.models import Environment
from panel.errors import Conflict, Forbidden, Invalid, NotFound, TooMany
from panel.people.members import set_member
from panel.people.roles import of_role
from panel.rights.actor import Actor
from panel.rights.giving import check_shared, require_all
from panel.rights.permissions import Permission
from panel.tenants.models import Membership, Role, Tenant
from panel.tenants.selectors import refuse_suspended

log = structlog.get_logger()

#: How long a link can be used.
LIFE = timedelta(days=7)
#: Of one tenant at a time: a panel is no mail cannon.
MOST_OPEN = 200
#: Of one tenant in a day, and of those to one address: a new one takes the place of the last.
MOST_A_DAY, MOST_TO_ONE_A_DAY = 500, 5
_DAY = timedelta(days=1)
LONGEST_SHARE = timedelta(days=366)
#: Of one environment, with people who may use it.
MOST_SHARES = 200
_SALT = "wadah.invitation"


def invite(
    actor: Actor, tenant: Tenant, *, email: str, role: str, custom: Role | None = None
) -> tuple[Invitation, str]:
    """To a role that the actor has himself; the row and the link, which goes out by mail."""
    actor.require(Permission.MEMBER_MANAGE, tenant)
    require_all(actor, of_role(tenant, role, custom), tenant)
    address = mail_address(email)
    if Membership.objects.filter(tenant=tenant, user__email__iexact=address).exists():
        raise Conflict(
            _("%(address)s belongs to this tenant already.") % {"address": address},
            code="is_member",
            field="email",
        )
    return _offer(actor, Invitation(tenant=tenant, email=address, role=role, custom_role=custom))


def invite_to_environment(
    actor: Actor, environment: Environment, *, email: str, permissions: Sequence[str], ends_at: datetime
) -> tuple[Invitation, str]:
    """Share it with a person until then; the row and the link."""
    actor.require(Permission.ENVIRONMENT_SHARE, environment)
    if environment.deleted_at is not None:
        raise NotFound(_("This environment"))
    wanted = check_shared(permissions)
    require_all(actor, wanted, environment)
    now = timezone.now()
    if timezone.is_naive(ends_at) or not now < ends_at <= now + LONGEST_SHARE:
        raise Invalid(_("A share ends at a time with zone, in the future and within a year."), field="ends_at")
    row = Invitation(
        tenant=environment.tenant,
        email=mail_address(email),
        environment=environment,
        permissions=wanted,
        share_ends_at=ends_at,
    )
    return _offer(actor, row)


def _offer(actor: Actor, row: Invitation) -> tuple[Invitation, str]:
    refuse_suspended(row.tenant)
    secret = secrets.token_urlsafe(32)
    row.id, row.invited_by, row.digest = uuid4(), actor.user, _digest(secret)
    row.expires_at = timezone.now() + LIFE
    with transaction.atomic():
        if Invitation.objects.open().filter(tenant=row.tenant).count() >= MOST_OPEN:
            raise TooMany(
                _("%(most_open)s invitations of this tenant wait for an answer; revoke some first.")
                % {"most_open": MOST_OPEN}
            )
        _refuse_many(row)
        same = Invitation.objects.open().filter(tenant=row.tenant, email=row.email, environment=row.environment)
        row.replaces = same.select_related("custom_role").order_by("-expires_at").first()
        same.update(revoked_at=timezone.now())
        row.save(force_insert=True)
        record(actor, "invitation.create", tenant_id=row.tenant_id, target=row, after=_shown(row))
        events.publish("tenant", row.tenant_id, row.tenant_id)
        path = reverse("invitation-accept", args=[signing.dumps([row.pk.hex, secret], salt=_SALT)])
        link = f"{settings.WADAH.url.rstrip('/')}{path}"
        transaction.on_commit(lambda: _send(row, actor, link), robust=True)
    return row, link


def _refuse_many(row: Invitation) -> None:
    """By the audit record, which nobody empties: an invitation to a role goes with the role."""
    sent = AuditRecord.objects.filter(
        chain=row.tenant_id, at__gt=timezone.now() - _DAY, action="invitation.create", is_denied=False
    )
    if sent.filter(target_name=row.email[:150]).count() >= MOST_TO_ONE_A_DAY:
        raise TooMany(
            _("%(email)s was invited %(most)s times today.") % {"email": row.email, "most": MOST_TO_ONE_A_DAY},
            next_step=_("Try again tomorrow; the newest invitation still works unless it was revoked."),
        )
    if sent.count() >= MOST_A_DAY:
        raise TooMany(
            _("This tenant has sent %(most)s invitations today.") % {"most": MOST_A_DAY},
            next_step=_("Try again tomorrow."),
        )


def _send(row: Invitation, actor: Actor, link: str) -> None:
    """Within the request, since the link is a secret and enters no queue."""
    context = {"row": row, "who": actor.user.get_full_name(), "link": link}
    subject = _("%(who)s invites you to %(what)s") % {
        "who": actor.user.get_full_name(),
        "what": row.environment or row.tenant,
    }
    try:
        text = render_to_string("access/mail/invitation.txt", context)
        mail.send_mail(" ".join(subject.split()), text, None, [row.email])
    except OSError as error:
        log.warning("invitation not sent", invitation=str(row.pk), error=type(error).__name__)


def revoke_invitation(actor: Actor, invitation_id: UUID) -> Invitation:
    """The link leads nowhere from now on. Asked again: a no-op."""
    with transaction.atomic():
        row = _locked(invitation_id)
        if row is None or not _may_manage(actor, row):
            raise NotFound(_("This invitation"))
        if row.is_open():
            row.revoked_at = timezone.now()
            row.save(update_fields=["revoked_at"])
            record(actor, "invitation.revoke", tenant_id=row.tenant_id, target=row)
            events.publish("tenant", row.tenant_id, row.tenant_id)
    return row


def _may_manage(actor: Actor, row: Invitation) -> bool:
    if row.environment is not None:
        return actor.can(Permission.ENVIRONMENT_SHARE, row.environment)
    return actor.can(Permission.MEMBER_MANAGE, row.tenant)


def find(key: str) -> Invitation | None:
    """The open invitation of a link; None when it was used, revoked, has expired or never was."""
    try:
        hexed, secret = signing.loads(key, salt=_SALT, max_age=LIFE)
        row = Invitation.objects.open().select_related("tenant", "environment", "invited_by", "custom_role")
        found = row.filter(pk=UUID(hex=hexed), digest=_digest(secret)).first()
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return found


def accept(user: User, key: str, address: str) -> Invitation:
    """For somebody who is signed in, and whose verified address is the invited one."""
    with transaction.atomic():
        row = _usable(key)
        if not has_address(user, row.email):
            raise Conflict(
                _("This invitation is for %(email)s, which is no verified address of your account.")
                % {"email": row.email},
                code="other_address",
                next_step=_("Sign in with the account of that address."),
            )
        _give(row, user, address)
    return row


def accept_as_new(
    key: str, *, username: str, password: str, name: str, address: str
) -> tuple[Invitation, User]:
    """Makes the account; its address is verified, since the link came to it."""
    with transaction.atomic():
        row = _usable(key)
        user = checked_user(username=username, email=row.email, password=password, name=name)
        save_user(user, password)
        record(Actor(user, address=address), "user.create", target=user, after={"by": "invitation"})
        _give(row, user, address)
    return row, user


def _usable(key: str) -> Invitation:
    """The row, locked until the transaction ends: two at once can't both use it."""
    found = find(key)
    row = _locked(found.pk) if found is not None else None
    if row is None or not row.is_open():
        raise NotFound(_("This invitation"))
    return row


def _locked(invitation_id: UUID) -> Invitation | None:
    rows = Invitation.objects.select_for_update(of=("self",))
    related = rows.select_related("tenant", "environment__tenant", "invited_by", "custom_role")
    return related.filter(pk=invitation_id).first()


def _give(row: Invitation, user: User, address: str) -> None:
    """In the name of who has invited, with the rights that he has now: an offer ends with them."""
    refuse_suspended(row.tenant)
    giver = Actor(row.invited_by, address=address)
    try:
        if not row.invited_by.is_active:
            raise NotFound(_("This invitation"))
        if row.environment is None:
            if Membership.objects.filter(tenant=row.tenant, user=user).exists():
                raise Conflict(_("You belong to this tenant already."), code="is_member")
            set_member(giver, row.tenant, user, role=row.role, custom=row.custom_role)
        else:
            giver.require(Permission.ENVIRONMENT_SHARE, row.environment)
            require_all(giver, row.permissions, row.environment)
            _refuse_many_shares(row.environment, user)
            Share.objects.update_or_create(
                environment=row.environment,
                user=user,
                defaults={
                    "tenant": row.tenant,
                    "permissions": row.permissions,
                    "shared_by": row.invited_by,
                    "expires_at": row.share_ends_at,
                },
            )
    except Forbidden as error:
        raise NotFound(_("This invitation")) from error
    row.accepted_at, row.accepted_by = timezone.now(), user
    row.save(update_fields=["accepted_at", "accepted_by"])
    taker = Actor(user, address=address)
    record(taker, "invitation.accept", tenant_id=row.tenant_id, target=row, after=_shown(row))
    events.rights_changed(user.pk)
    events.publish("tenant", row.tenant_id, row.tenant_id)


def _refuse_many_shares(environment: Environment, user: User) -> None:
    others = Share.objects.filter(environment=environment, expires_at__gt=timezone.now()).exclude(user=user)
    if others.count() >= MOST_SHARES:
        raise Conflict(_("It is shared with %(most)s people already.") % {"most": MOST_SHARES}, code="too_many")


def _shown(row: Invitation) -> dict[str, object]:
    if row.environment is None:
        return {"role": row.custom_role.name if row.custom_role is not None else row.role}
    assert row.share_ends_at is not None
    return {
        "environment": row.environment.name,
        "permissions": row.permissions,
        "ends_at": row.share_ends_at.isoformat(),
    }


def _digest(secret: str) -> str:
    """A random secret of 256 bits needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()

"""What administrators ask of everybody's sign-in."""

from django.conf import settings
from django.db import transaction

from panel.accounts import answers
from panel.accounts.models import SignInPolicy, User
from panel.audit.services import record
from panel.rights.actor import Actor
from panel.rights.permissions import Permission


def policy() -> SignInPolicy:
    return SignInPolicy.objects.first() or SignInPolicy()


def show(row: SignInPolicy) -> answers.SignInPolicy:
    """The policy, and what is set from outside (see `docs/people-and-access.md`)."""
    wadah = settings.WADAH
    return {
        "requires_mfa": row.requires_mfa,
        "people_without_second_factor": User.objects.filter(is_active=True, authenticator=None).count(),
        "single_sign_on": {"name": wadah.oidc_name, "url": wadah.oidc_url} if wadah.oidc_url else None,
        "passkeys": wadah.has_name,
        "mails_go_out": bool(wadah.email_host),
        "longest_session_s": settings.SESSION_COOKIE_AGE,
        "idle_session_s": wadah.session_idle_s,
    }


def set_policy(actor: Actor, *, requires_mfa: bool) -> SignInPolicy:
    """Who has no second factor sets one up before he goes on, with tokens too. Nothing changed: a no-op."""
    actor.require(Permission.USER_MANAGE)
    with transaction.atomic():
        row, _ = SignInPolicy.objects.select_for_update().get_or_create(pk=1)
        if row.requires_mfa != requires_mfa:
            before, row.requires_mfa = row.requires_mfa, requires_mfa
            row.save(update_fields=["requires_mfa"])
            record(
                actor,
                "signin.policy",
                target=row,
                before={"requires_mfa": before},
                after={"requires_mfa": requires_mfa},
            )
    return row

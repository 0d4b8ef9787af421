"""What administrators ask of everybody's sign-in."""

from django.db import transaction

from panel.accounts.actor import Actor
from panel.accounts.models import SignInPolicy
from panel.audit.services import record
from panel.tenants.permissions import Permission


def policy() -> SignInPolicy:
    return SignInPolicy.objects.first() or SignInPolicy()


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

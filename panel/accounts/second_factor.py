"""Whether somebody must set up a second factor before he may go on."""

from allauth.mfa.utils import is_mfa_enabled
from django.db.models import Q

from panel.access.models import Share
from panel.accounts.actor import Actor
from panel.accounts.models import SignInPolicy
from panel.tenants.models import Membership, Tenant


def lacks_second_factor(actor: Actor) -> bool:
    """The installation, or a tenant that he belongs to (or one above it), asks for one, and he has none.

    Asked in every request: two small queries where nobody asks for one.
    """
    return _is_asked_for(actor) and not is_mfa_enabled(actor.user)


def _is_asked_for(actor: Actor) -> bool:
    if SignInPolicy.objects.filter(requires_mfa=True).exists():
        return True
    asking = Tenant.objects.filter(requires_mfa=True)
    if not asking.exists():
        return False
    own = Membership.objects.filter(user=actor.user).values("tenant")
    shared = Share.objects.filter(user=actor.user).values("tenant")
    chains = [row.chain for row in Tenant.objects.filter(Q(pk__in=own) | Q(pk__in=shared))]
    return asking.filter(pk__in={tenant_id for chain in chains for tenant_id in chain}).exists()

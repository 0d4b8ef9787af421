"""Whether the API is open to an asker at all, whatever he asks: before the work, and before a kept answer."""

from panel.accounts.actor import Actor
from panel.accounts.second_factor import lacks_second_factor
from panel.errors import SecondFactorNeeded
from panel.tenants.selectors import refuse_suspended


def admit(actor: Actor) -> None:
    """Raises `SecondFactorNeeded`, or `Suspended` for a token of a suspended tenant. Asked again: a no-op."""
    if actor.is_admitted:
        return
    if lacks_second_factor(actor):
        raise SecondFactorNeeded
    if actor.token is not None and actor.token.tenant is not None and actor.support is None:
        refuse_suspended(actor.token.tenant)
    actor.is_admitted = True

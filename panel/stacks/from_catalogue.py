"""An entry of the catalogue made into a stack."""

from collections.abc import Mapping

from panel.rights.actor import Actor
from panel.stacks.entries import Entry, answered
from panel.stacks.models import Stack
from panel.stacks.services import Asked, create_stack
from panel.tenants.models import Tenant


def take(
    actor: Actor,
    tenant: Tenant,
    entry: Entry,
    *,
    name: str,
    given: Mapping[str, str],
    plan: str = "",
    node: str = "",
) -> tuple[Stack, dict[str, str]]:
    """The stack, and the passwords that were made for it, which nobody is told again."""
    variables, made = answered(entry, given)
    limits = {} if plan else {"memory_mb": entry.memory_mb}
    asked = Asked(compose=entry.compose, variables=variables, plan=plan, limits=limits)
    stack, _operation = create_stack(actor, tenant, name=name, asked=asked, node=node, catalogue=entry.slug)
    return stack, made

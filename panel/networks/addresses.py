"""Addresses that come and go after an environment was made; live where it runs."""

from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from panel.environments import placement
from panel.environments.models import Environment
from panel.environments.services.intent import Changed, change
from panel.errors import Conflict, Invalid, NotFound
from panel.networks import services as networks
from panel.networks.models import Address
from panel.operations.models import OperationKind
from panel.plans.rules import check_allowance
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.rights.actor import Actor
from panel.rights.permissions import Permission

#: Most addresses of one family that one environment gets.
MOST_ADDRESSES = 16


def add_addresses(
    actor: Actor, environment_id: UUID, *, family: int = 4, count: int = 1
) -> tuple[list[Address], Changed]:
    """The next free ones of its node's pool. Of IPv4 quota and plan are asked; IPv6 is free, as on creation.

    `NoRoom` when the pool is used up; `Invalid` where the node has no such network.
    """
    if family not in (4, 6):
        raise Invalid(_("The family is 4 or 6, not %(family)s.") % {"family": family}, field="family")
    if not 1 <= count <= MOST_ADDRESSES:
        raise Invalid(_("Add 1 to %(most)s addresses.") % {"most": MOST_ADDRESSES}, field="count")
    made: list[Address] = []

    def mutate(row: Environment) -> dict[str, Any]:
        wanted = row.addresses.filter(released_at=None, family=family).count() + count
        if wanted > MOST_ADDRESSES:
            raise Conflict(
                _("An environment has at most %(most)s addresses of a family; this would be %(wanted)s.")
                % {"most": MOST_ADDRESSES, "wanted": wanted},
                code="too_many_addresses",
                field="count",
            )
        if family == 4:
            check_allowance(row.plan_version, "addresses", wanted, field="count")
            quotas.reserve(row.tenant, {Resource.ADDRESSES: count})
        placement.take(row.node, 0, 0, 0, placed=0)  # locks the node: leases are made one by one
        pool = networks.pools_of(row.node).get(family)
        if pool is None:
            raise Invalid(_("Its node has no IPv%(family)s network.") % {"family": family}, field="family")
        made.extend(networks.lease(row, row.tenant, pool, count))
        Address.objects.bulk_create(made)
        return {"add": [one.address for one in made]}

    changed = change(actor, environment_id, Permission.NETWORK_CHANGE, OperationKind.ADDRESSES, mutate)
    return made, changed


def remove_address(actor: Actor, environment_id: UUID, address_id: UUID) -> Changed:
    """Take one away: connections to it end, and nobody else gets it before its rest is over."""

    def mutate(row: Environment) -> dict[str, Any]:
        leases = row.addresses.filter(released_at=None)
        lease = leases.filter(pk=address_id).first()
        if lease is None:
            raise NotFound(_("This address"))
        _refuse_last_with_forwards(row, lease)
        if lease.family == 4:
            quotas.release(row.tenant, {Resource.ADDRESSES: 1})
        lease.released_at = timezone.now()
        lease.save(update_fields=["released_at"])
        return {"remove": [lease.address]}

    return change(actor, environment_id, Permission.NETWORK_CHANGE, OperationKind.ADDRESSES, mutate)


def _refuse_last_with_forwards(row: Environment, lease: Address) -> None:
    """Forwards of a family lead to its first address; without any they would lead nowhere."""
    left = row.addresses.filter(released_at=None).exclude(pk=lease.pk)
    if not row.forwards.exists() or left.filter(family=lease.family).exists():
        return
    if lease.family == 4:
        said = _("Its port forwards lead to %(address)s, its only IPv4 address.")
    elif not left.exists():
        said = _("Its port forwards lead to %(address)s, its only address.")
    else:
        return
    raise Conflict(
        said % {"address": lease.address},
        code="address_in_use",
        next_step=_("Remove the forwards first, or add another address."),
    )


def check_count(value: int | None, field: str) -> int | None:
    if value is not None and not 0 <= value <= MOST_ADDRESSES:
        raise Invalid(
            _("%(field)s is 0 to %(most_addresses)s addresses.")
            % {"field": field, "most_addresses": MOST_ADDRESSES},
            field=field,
        )
    return value

"""What the processes of a crowd set up and look at: called by name, with plain values."""

from datetime import timedelta
from typing import Any

from django.core.management import call_command
from django.db.models import Count, F
from django.utils import timezone

from panel.environments import tasks
from panel.environments.models import Environment
from panel.networks.models import Address, PortForward
from panel.nodes.models import Node
from panel.quotas.models import Quota
from panel.rights.permissions import RoleName
from panel.tenants.models import Membership, Tenant
from tests.panel.support import factories


def migrate() -> None:
    call_command("migrate", verbosity=0)


def world(quota: dict[str, float | None], below: int = 0, made: int = 0) -> Any:
    """A node that was just heard of, a tenant with that quota, and its owner's token.

    `below`: so many tenants between the one with the quota and the one that is asked about. `made`:
    environments that are there already.
    """
    Node.objects.update(memory_ratio=None)
    if not Node.objects.exists():
        factories.node(memory_bytes=20 * 2**30)
    Node.objects.update(last_seen_at=timezone.now(), memory_ratio=None)
    tenant = top = factories.tenant(quota=quota)
    for _ in range(below):
        tenant = factories.tenant(parent=tenant)
    rows = [str(factories.environment(tenant).pk) for _ in range(made)]
    owner = factories.member(top)
    token = factories.bearer(owner, top, role="owner")["Authorization"].removeprefix("Bearer ")
    return {"tenant": str(tenant.pk), "top": str(top.pk), "token": token, "environments": rows}


def pair_of_owners() -> Any:
    """A tenant with two owners: its id, and of each his id and token."""
    tenant = factories.tenant()
    owners = [factories.member(tenant) for _ in range(2)]
    return {
        "tenant": str(tenant.pk),
        "owners": [
            [
                str(owner.user.pk),
                factories.bearer(owner, tenant, role="owner")["Authorization"].removeprefix("Bearer "),
            ]
            for owner in owners
        ],
    }


def owners_of(tenants: list[str]) -> list[int]:
    """How many each has."""
    rows = Membership.objects.filter(role=RoleName.OWNER)
    return [rows.filter(tenant=tenant).count() for tenant in tenants]


def fall_behind(environments: list[str]) -> None:
    """As if every message about them were lost a while ago, and nobody else were behind."""
    Environment.objects.update(observed_generation=F("generation"))
    long_ago = timezone.now() - timedelta(minutes=10)
    rows = Environment.objects.filter(pk__in=environments)
    rows.update(generation=F("generation") + 1, sent_at=long_ago, heard_at=long_ago, send_attempts=1)


def resend() -> int:
    """One tick of a scheduler; how many specs it sent."""
    Node.objects.update(last_seen_at=timezone.now())
    return tasks.resend_behind()


def node_with_room_for(count: int) -> None:
    """The node may promise exactly so many more environments of 64 MB."""
    node = Node.objects.get()
    most = node.reserved_memory_mb + 64 * count
    ratio = most * 2**20 / node.facts["memory_bytes"]
    assert ratio >= 0.1, "the panel takes no lower ratio; make the node smaller"
    Node.objects.update(memory_ratio=ratio + 1e-9)


def reserved(tenant: str, resource: str) -> Any:
    row = Quota.objects.get(tenant=tenant, resource=resource)
    return {"reserved": row.reserved, "hits": row.hits}


def count(tenant: str) -> Any:
    inside = {"tenant__path__contains": Tenant.objects.get(pk=tenant).pk.hex}
    return {
        "environments": Environment.objects.living().filter(**inside).count(),
        "addresses": Address.objects.filter(**inside, family=4).count(),
        "forwards": PortForward.objects.filter(**inside).count(),
        "children": Tenant.objects.filter(parent=tenant).count(),
        "memory_mb": sum(row.limits["memory_mb"] for row in Environment.objects.living().filter(**inside)),
    }


def given_twice() -> Any:
    """What two have: user ids, addresses, ports."""
    looked = [
        (Environment.objects.filter(slot__isnull=False), ("node", "slot")),
        (Address.objects.all(), ("pool", "offset")),
        (PortForward.objects.all(), ("node", "protocol", "node_port")),
    ]
    return [
        str(row)
        for rows, names in looked
        for row in rows.order_by().values_list(*names).annotate(n=Count("pk")).filter(n__gt=1)
    ]

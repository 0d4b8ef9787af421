"""Page of addresses: who has which, and how full the pools are."""

from typing import Any

from django.core.cache import cache
from django.db.models import Count, Q
from django.http import HttpResponse
from django.views.decorators.http import require_safe

from panel.folding import finds
from panel.networks.models import Address, AddressPool
from panel.paging import page_of_rows
from panel.rights.permissions import Permission
from panel.tenants.chosen import chosen_tenant
from panel.ui.web import PageRequest, page, signed_in

_COUNTED_FOR_S = 10


@require_safe
@signed_in
def addresses(request: PageRequest) -> HttpResponse:
    tenant = chosen_tenant(request, request.actor)
    rows = Address.objects.for_actor(request.actor).select_related("environment", "tenant", "pool__node")
    if tenant is not None:
        rows = rows.filter(tenant__path__startswith=tenant.path)
    text = request.GET.get("q", "").strip()[:80]
    if text:
        rows = rows.filter(Q(address__contains=text) | finds(text, "environment__name"))
    pools = _pools() if request.actor.can(Permission.NODE_VIEW) else []
    context = {
        "section": "address",
        "rows": page_of_rows(rows, 100, request.GET.get("page")),
        "text": text,
        "pools": pools,
    }
    return page(request, "networks/addresses.html", context)


def _pools() -> list[dict[str, Any]]:
    """How full each pool is; counting all leases is worth it once in a while, not with every look."""
    taken = cache.get_or_set(
        "addresses-taken",
        lambda: dict(Address.objects.order_by().values_list("pool").annotate(n=Count("pk"))),
        _COUNTED_FOR_S,
    )
    return [
        {"row": pool, "size": pool.last - pool.first + 1, "taken": (taken or {}).get(pool.pk, 0)}
        for pool in AddressPool.objects.select_related("node")
    ]

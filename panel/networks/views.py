"""Page of addresses: who has which, and how full the pools are."""

from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpResponse
from django.views.decorators.http import require_safe

from panel.networks.models import Address, AddressPool
from panel.tenants.permissions import Permission
from panel.ui.shell import chosen_tenant
from panel.ui.web import PageRequest, page, signed_in


@require_safe
@signed_in
def addresses(request: PageRequest) -> HttpResponse:
    tenant = chosen_tenant(request, request.actor)
    rows = Address.objects.for_actor(request.actor).select_related("environment", "tenant", "pool__node")
    if tenant is not None:
        rows = rows.filter(tenant__path__startswith=tenant.path)
    text = request.GET.get("q", "").strip()[:80]
    if text:
        rows = rows.filter(Q(address__contains=text) | Q(environment__name__icontains=text))
    pools = []
    if request.actor.can(Permission.NODE_VIEW):
        for pool in AddressPool.objects.select_related("node").annotate(taken=Count("addresses")):
            pools.append({"row": pool, "size": pool.last - pool.first + 1})
    context = {
        "section": "address",
        "rows": Paginator(rows, 100).get_page(request.GET.get("page")),
        "text": text,
        "pools": pools,
    }
    return page(request, "networks/addresses.html", context)

"""/api/v1/addresses"""

from django.http import HttpRequest
from ninja import Query, Router

from panel.http.answers import ListOf
from panel.http.pages import Page, page_of
from panel.networks import answers
from panel.networks.models import Address
from panel.rights.asking import actor

router = Router()


def show(row: Address) -> answers.Address:
    return {
        "id": str(row.pk),
        "address": row.address,
        "family": row.family,
        "tenant": str(row.tenant_id) if row.tenant_id else None,
        "environment": str(row.environment_id) if row.environment_id else None,
        "leased_at": row.leased_at.isoformat(),
        "released_at": row.released_at.isoformat() if row.released_at else None,
    }


@router.get("", response=ListOf[answers.Address], operation_id="addresses_list")
def list_(request: HttpRequest, page: Query[Page]) -> ListOf[answers.Address]:
    return page_of(Address.objects.for_actor(actor(request)).order_by("family", "offset"), page, show)

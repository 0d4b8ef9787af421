"""/api/v1/tokens"""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import BaseModel, ConfigDict, Field

from panel.accounts import services
from panel.accounts.models import Token
from panel.api.pages import Page, page_of
from panel.api.root import actor, uuid_of
from panel.tenants.selectors import tenant_of

router = Router()
Json = dict[str, Any]


class TokenToCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenant: str | None = None
    name: str = ""
    role: str = ""
    permissions: list[str] = []
    expires_at: datetime | None = None
    networks: list[str] = []
    environments: list[str] = Field(default=[], max_length=200)


def _show(row: Token) -> Json:
    return {
        "id": str(row.pk),
        "name": row.name,
        "tenant": str(row.tenant_id) if row.tenant_id else None,
        "permissions": row.permissions,
        "networks": row.networks,
        "environments": row.environments,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
        "last_used_from": row.last_used_from,
    }


@router.get("", response=Json, operation_id="tokens_list")
def list_(request: HttpRequest, page: Query[Page]) -> Json:
    rows = Token.objects.filter(user=actor(request).user, revoked_at=None).order_by("-created_at")
    return page_of(rows, page, _show)


@router.post("", response={201: Json}, operation_id="tokens_create")
def create(request: HttpRequest, payload: TokenToCreate) -> Status[Json]:
    who = actor(request)
    tenant = tenant_of(who, payload.tenant) if payload.tenant else None
    row, text = services.create_token(who, tenant=tenant, **payload.model_dump(exclude={"tenant"}))
    return Status(201, {**_show(row), "token": text})


@router.delete("/{pk}", response={204: None}, operation_id="tokens_revoke")
def revoke(request: HttpRequest, pk: str) -> Status[None]:
    services.revoke_token(actor(request), uuid_of(pk, "This token"))
    return Status(204, None)

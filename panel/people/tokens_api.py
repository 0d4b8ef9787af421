"""/api/v1/tokens"""

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from panel.accounts.models import Token
from panel.http.answers import ListOf
from panel.http.inputs import Input, Moment, Naming
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.people import answers, tokens
from panel.rights.asking import actor
from panel.tenants.selectors import tenant_of

router = Router()


class TokenToCreate(Input):
    tenant: Naming | None = None
    name: str = ""
    role: str = ""
    permissions: list[str] = []
    expires_at: Moment | None = None
    networks: list[str] = []
    environments: list[str] = Field(default=[], max_length=200)


def _show(row: Token) -> answers.Token:
    return {
        "id": str(row.pk),
        "name": row.name,
        "who": row.user.username,
        "tenant": str(row.tenant_id) if row.tenant_id else None,
        "permissions": row.permissions,
        "networks": row.networks,
        "environments": row.environments,
        "made_by": str(row.opened_by_id) if row.opened_by_id else None,
        "support": str(row.support_id) if row.support_id else None,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
        "last_used_from": row.last_used_from,
    }


@router.get("", response=ListOf[answers.Token], operation_id="tokens_list")
def list_(request: HttpRequest, page: Query[Page]) -> ListOf[answers.Token]:
    """One's own, and those of the tenants whose tokens one sees."""
    return page_of(tokens.tokens_seen(actor(request)), page, _show)


@router.post("", response={201: answers.NewToken}, operation_id="tokens_create")
def create(request: HttpRequest, payload: TokenToCreate) -> Status[answers.NewToken]:
    who = actor(request)
    tenant = tenant_of(who, payload.tenant) if payload.tenant else None
    row, text = tokens.create_token(who, tenant=tenant, **payload.model_dump(exclude={"tenant"}))
    return Status(201, {**_show(row), "token": text})


@router.delete("/{pk}", response={204: None}, operation_id="tokens_revoke")
def revoke(request: HttpRequest, pk: str) -> Status[None]:
    tokens.revoke_token(actor(request), uuid_of(pk, "This token"))
    return Status(204, None)

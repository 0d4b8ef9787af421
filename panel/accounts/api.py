"""/api/v1/tokens"""

from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from panel.accounts import policy, services, signed_in
from panel.accounts.models import Token
from panel.api.inputs import Input, Moment, Naming
from panel.api.pages import Page, page_of
from panel.api.root import actor, uuid_of
from panel.tenants.permissions import Permission
from panel.tenants.selectors import tenant_of

router = Router()
policy_router = Router()
sessions_router = Router()
Json = dict[str, Any]


class TokenToCreate(Input):
    tenant: Naming | None = None
    name: str = ""
    role: str = ""
    permissions: list[str] = []
    expires_at: Moment | None = None
    networks: list[str] = []
    environments: list[str] = Field(default=[], max_length=200)


class ChangedPolicy(Input):
    requires_mfa: bool = Field(description="Everybody has a passkey or an authenticator app, or doesn't go on.")


def _show(row: Token) -> Json:
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


@router.get("", response=Json, operation_id="tokens_list")
def list_(request: HttpRequest, page: Query[Page]) -> Json:
    """One's own, and those of the tenants whose tokens one sees."""
    return page_of(services.tokens_seen(actor(request)), page, _show)


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


@policy_router.get("", response=Json, operation_id="signin_policy_get")
def show_policy(request: HttpRequest) -> Json:
    """What the installation asks of everybody's sign-in, and how one can sign in."""
    actor(request).require(Permission.USER_MANAGE)
    return policy.show(policy.policy())


@policy_router.patch("", response=Json, operation_id="signin_policy_update")
def set_policy(request: HttpRequest, payload: ChangedPolicy) -> Json:
    return policy.show(policy.set_policy(actor(request), requires_mfa=payload.requires_mfa))


@sessions_router.get("", response=Json, operation_id="sessions_list")
def sessions(request: HttpRequest) -> Json:
    """Where one is signed in. Not for tokens with a list of permissions."""
    key = request.session.session_key if hasattr(request, "session") else None
    shown = [signed_in.show(row, key) for row in signed_in.sessions_of(actor(request))]
    return {"items": shown, "count": len(shown), "count_is_exact": True}


@sessions_router.delete("/{pk}", response={204: None}, operation_id="sessions_end")
def end_session(request: HttpRequest, pk: str) -> Status[None]:
    """Sign out there: pages, consoles and sockets of it close."""
    signed_in.sign_out(actor(request), pk)
    return Status(204, None)

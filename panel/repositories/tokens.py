"""Where `docker login` gets its token (distribution's token specification): who asks, and what he may where.

    GET /registry/token?service=wadah-registry&scope=repository:acme/web:pull,push

User name: anything; password: a token of the API. It may pull what belongs to a tenant that its bearer sees,
and push where he may create environments. What he may not is left out, and the registry refuses it.
"""

from base64 import b64decode
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from panel.access.auth import actor_from_token
from panel.accounts.guesses import may_show_bad_token
from panel.errors import Refused
from panel.http.client import client_address
from panel.registries import own
from panel.repositories.store import NAME, Store
from panel.rights.actor import Actor
from panel.rights.asking import admit
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant, TenantState

#: Of one request; clients ask for one or two.
_MOST_SCOPES = 20
_LONGEST = 255


@dataclass(frozen=True)
class Asking:
    """Who asks: a person by his token, or a node, for one repository."""

    name: str
    actor: Actor | None = None
    repository: str = ""
    pushes: bool = False
    chain: tuple[UUID, ...] = ()
    """Of a node that pulls whatever a tenant may: its tenant and those above it."""

    def may(self, repository: str, tenant: Tenant) -> set[str]:
        if self.actor is None:
            if self.repository == own.ALL:
                return {"pull"} if tenant.pk in self.chain else set()
            mine = {"pull", "push"} if self.pushes else {"pull"}
            return mine if repository == self.repository else set()
        allowed = {"pull"} if self.actor.can(Permission.ENVIRONMENT_VIEW, tenant) else set()
        if tenant.state == TenantState.SUSPENDED or not self.actor.can(Permission.ENVIRONMENT_CREATE, tenant):
            return allowed
        return {"pull", "push"}


@csrf_exempt  # a POST is 405, by which clients know that there is no OAuth2 here, and no form's business
@require_GET
def token(request: HttpRequest) -> HttpResponse:
    if not own.is_offered():
        return _refused(404, "UNSUPPORTED", "This installation has no registry.")
    pair = _pair(request.headers.get("Authorization", ""))
    if pair is None:
        return _refused(401, "UNAUTHORIZED", "Log in with a token of the API as password.")
    asking = _asking(request, *pair)
    if isinstance(asking, HttpResponse):
        return asking
    scopes = [one for text in request.GET.getlist("scope")[:_MOST_SCOPES] for one in text.split(" ") if one]
    access = [found for one in scopes[:_MOST_SCOPES] if (found := _granted(asking, one))]
    text = own.token(asking.name, access)
    answer = JsonResponse(
        {
            "token": text,
            "access_token": text,
            "expires_in": own.LIFETIME_S,
            "issued_at": timezone.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    answer["Cache-Control"] = "no-store"
    return answer


def _pair(header: str) -> tuple[str, str] | None:
    kind, _, text = header.partition(" ")
    try:
        name, colon, password = b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, password) if kind.lower() == "basic" and colon else None


def _asking(request: HttpRequest, name: str, password: str) -> Asking | HttpResponse:
    if name == own.NODE:
        known, actor = own.read_pass(password), None
        if known is not None:
            return Asking(own.NODE, repository=known[0], pushes=known[1], chain=_chain(known[0], password))
    else:
        actor = actor_from_token(password, client_address(request.META))
    if actor is None:
        if not may_show_bad_token(request):
            return _refused(429, "TOOMANYREQUESTS", "Too many bad tokens came from there in the last minute.")
        return _refused(401, "UNAUTHORIZED", "The password is no good token of the API.")
    try:
        admit(actor)
    except Refused as refusal:
        return _refused(403, "DENIED", str(refusal.message))
    return Asking(actor.name, actor)


def _chain(repository: str, password: str) -> tuple[UUID, ...]:
    if repository != own.ALL:
        return ()
    tenant = Tenant.objects.filter(pk=own.tenant_of_pass(password)).first()
    return tuple(tenant.chain) if tenant is not None else ()


def _granted(asking: Asking, scope: str) -> dict[str, Any] | None:
    """What of `repository:NAME:ACTIONS` is granted; None: nothing."""
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    slug, slash, _ = name.partition("/")
    if kind != "repository" or not slash or len(name) > _LONGEST or not NAME.fullmatch(name):
        return None
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None:
        return None
    granted = asking.may(name, tenant) & set(actions.split(","))
    if not granted:
        return None
    Store(own.place()).take(slug, str(tenant.pk))
    return {"type": "repository", "name": name, "actions": sorted(granted)}


def _refused(status: int, code: str, message: str) -> HttpResponse:
    """As the registry says it, so that clients show the sentence."""
    answer = JsonResponse({"errors": [{"code": code, "message": message, "detail": None}]}, status=status)
    if status == 401:
        answer["WWW-Authenticate"] = f'Basic realm="{own.SERVICE}"'
    return answer

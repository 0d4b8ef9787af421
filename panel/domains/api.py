"""/api/v1/domains"""

from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import Field

from panel.domains import answers, services
from panel.domains.models import Domain
from panel.domains.requests import MOST, requests_of
from panel.domains.selectors import show
from panel.environments.models import Environment
from panel.errors import Invalid, NotFound
from panel.http.answers import ListOf
from panel.http.inputs import Input, Naming
from panel.http.inputs import Query as Parameters
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.rights.actor import Actor
from panel.rights.asking import actor
from panel.rights.permissions import Permission
from panel.tenants.selectors import tenant_of

router = Router()
_THIS = "This domain"
_USERS = "User and password; null for a password takes the user out. No user: everybody may look."


class NewDomainTarget(Input):
    environment: Naming = Field(description="By id, or by name within the domain's tenant.")
    port: int = Field(default=80, description="Inside.")


class DomainChange(Input):
    https: bool | None = Field(default=None, description="Lead who comes without TLS to the address with it.")
    redirect_to: str | None = Field(
        default=None, max_length=400, description="Lead everybody there; without a path, to the same path."
    )
    basic_auth: dict[str, str | None] | None = Field(default=None, description=_USERS)
    balance: str | None = Field(default=None, description="`round_robin`, or `sticky` by the client's address.")
    health_path: str | None = Field(
        default=None, max_length=200, description="As /healthz; 200 to 399 is well."
    )


class NewDomain(DomainChange):
    name: str = Field(
        default="", max_length=255, description="Empty: one below the name that the administrator set."
    )
    environment: Naming | None = Field(default=None, description="By id; by name, where the tenant is named.")
    port: int = Field(default=80, description="Inside.")
    targets: list[NewDomainTarget] = Field(
        default=[], max_length=50, description="Several environments behind it."
    )
    tenant: Naming | None = Field(default=None, description="Null: that of the environment.")


class Asked(Parameters):
    limit: int = Field(default=100, ge=1, le=MOST)
    path: str = Field(default="", max_length=200, description="A part of it.")


@router.get("", response=ListOf[answers.Domain], operation_id="domains_list")
def list_(request: HttpRequest, page: Query[Page]) -> ListOf[answers.Domain]:
    return page_of(_rows(actor(request)), page, show)


@router.post("", response={201: answers.Domain}, operation_id="domains_create")
def create(request: HttpRequest, payload: NewDomain) -> Status[answers.Domain]:
    """Served as soon as DNS shows that the name is its tenant's: by the TXT record in the answer's `record`, or
    by leading here. Names below the administrator's own need neither."""
    who = actor(request)
    wanted = list(payload.targets)
    if payload.environment is not None:
        wanted.insert(0, NewDomainTarget(environment=payload.environment, port=payload.port))
    named = tenant_of(who, payload.tenant) if payload.tenant is not None else None
    targets = [
        (environment_of(who, one.environment, named.pk if named is not None else None), one.port)
        for one in wanted
    ]
    if named is None and not targets:
        raise Invalid(_("Say which environment serves it, or where it leads to."), field="environment")
    options = payload.model_dump(exclude={"name", "environment", "port", "targets", "tenant"})
    tenant = named or targets[0][0].tenant
    row = services.add_domain(who, tenant, name=payload.name, targets=targets, **options)
    return Status(201, show(services.found_domain(who, row.pk)))


@router.get("/{pk}", response=answers.Domain, operation_id="domains_get")
def get(request: HttpRequest, pk: str) -> answers.Domain:
    return show(services.found_domain(actor(request), uuid_of(pk, _THIS)))


@router.patch("/{pk}", response=answers.Domain, operation_id="domains_update")
def update(request: HttpRequest, pk: str, payload: DomainChange) -> answers.Domain:
    """What is given; the rest stays."""
    who, domain = actor(request), uuid_of(pk, _THIS)
    services.change_domain(who, domain, **payload.model_dump(exclude_unset=True))
    return show(services.found_domain(who, domain))


@router.delete("/{pk}", response={204: None}, operation_id="domains_delete")
def delete(request: HttpRequest, pk: str) -> Status[None]:
    """Not served any more; what is behind it goes on."""
    services.remove_domain(actor(request), uuid_of(pk, _THIS))
    return Status(204, None)


@router.post("/{pk}/verify", response={202: answers.Domain}, operation_id="domains_verify")
def verify(request: HttpRequest, pk: str) -> Status[answers.Domain]:
    """DNS is asked now; by itself it is asked every two minutes, for a week."""
    return Status(202, show(services.look_now(actor(request), uuid_of(pk, _THIS))))


@router.post("/{pk}/targets", response={201: answers.Domain}, operation_id="domains_add_target")
def add_target(request: HttpRequest, pk: str, payload: NewDomainTarget) -> Status[answers.Domain]:
    who, domain = actor(request), uuid_of(pk, _THIS)
    row = services.found_domain(who, domain)
    services.add_target(who, domain, environment_of(who, payload.environment, row.tenant_id), payload.port)
    return Status(201, show(services.found_domain(who, domain)))


@router.delete("/{pk}/targets/{environment}", response={204: None}, operation_id="domains_remove_target")
def remove_target(request: HttpRequest, pk: str, environment: str) -> Status[None]:
    """By the environment's id."""
    services.remove_target(actor(request), uuid_of(pk, _THIS), uuid_of(environment, "This environment"))
    return Status(204, None)


@router.get("/{pk}/requests", response=ListOf[answers.Request], operation_id="domains_requests")
def requests(request: HttpRequest, pk: str, asked: Query[Asked]) -> ListOf[answers.Request]:
    """What visitors asked for, the newest first, as far as the log goes back."""
    row = services.found_domain(actor(request), uuid_of(pk, _THIS))
    found = requests_of(row, asked.limit, asked.path)
    return {"items": found, "count": len(found)}


def _rows(who: Actor) -> QuerySet[Domain]:
    return (
        Domain.objects.for_actor(who).select_related("tenant").prefetch_related("targets__environment__tenant")
    )


def environment_of(who: Actor, text: str, tenant_id: UUID | None) -> Environment:
    rows = Environment.objects.in_use().for_actor(who, Permission.ENVIRONMENT_VIEW).select_related("tenant")
    try:
        found = rows.filter(pk=UUID(text)).first()
    except ValueError:
        found = rows.filter(tenant=tenant_id, name=text).first() if tenant_id is not None else _only(rows, text)
    if found is None:
        raise NotFound(_("This environment"))
    return found


def _only(rows: QuerySet[Environment], name: str) -> Environment | None:
    """Of several tenants' with this name none."""
    found = list(rows.filter(name=name)[:2])
    return found[0] if len(found) == 1 else None

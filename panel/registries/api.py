"""/api/v1/registries: where images of apps come from, and by which name and password."""

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status
from pydantic import Field

from panel.http.answers import ListOf
from panel.http.inputs import Input, Naming
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.registries import answers, inspecting, services
from panel.registries.models import Registry
from panel.registries.selectors import show
from panel.rights.asking import actor
from panel.serving.promised import document, promised
from panel.tenants.selectors import tenant_of

router = Router()


class NewRegistry(Input):
    host: str = Field(max_length=270, description="With its port, if it has one: `registry.example.com:5000`.")
    tenant: Naming | None = Field(default=None, description="Null: for all tenants (administrators).")
    username: str = Field(default="", max_length=255)
    password: str = Field(default="", max_length=8192)
    insecure: bool = Field(default=False, description="Without TLS, or with any certificate (administrators).")
    inward: bool = Field(default=False, description="At an address that is private (administrators).")
    signed_by: str = Field(
        default="",
        max_length=16,
        description="`gpg` or `sigstore`: nothing is run from it that isn't signed so by `signature_key`.",
    )
    signature_key: str = Field(default="", max_length=65_536, description="Public: armoured, or PEM.")
    lookaside: str = Field(
        default="", max_length=400, description="Where signatures of the kind `gpg` lie: `https://…`."
    )


class InspectedReference(Input):
    tenant: Naming
    image: str = Field(max_length=400, description="As `docker pull` takes it.")


@router.get("", response=ListOf[answers.Registry], operation_id="registries_list")
def list_(request: HttpRequest, page: Query[Page]) -> ListOf[answers.Registry]:
    """Passwords are in no answer."""
    return page_of(Registry.objects.for_actor(actor(request)), page, show)


@router.post("", response={201: answers.Registry}, operation_id="registries_add")
def add(request: HttpRequest, payload: NewRegistry) -> Status[answers.Registry]:
    who = actor(request)
    tenant = tenant_of(who, payload.tenant) if payload.tenant else None
    values = payload.model_dump(exclude={"tenant"})
    return Status(201, show(services.add_registry(who, tenant, **values)))


@router.post("/inspect", response=answers.InspectedImage, operation_id="registries_inspect")
def inspect(request: HttpRequest, payload: InspectedReference) -> HttpResponse:
    """What an image says of itself, as its registry has it now: nothing is fetched or kept, and its signature
    isn't looked at. A node asks, by the tenant's name there."""
    who = actor(request)
    asked = inspecting.inspect(who, tenant_of(who, payload.tenant), payload.image)

    async def answer() -> HttpResponse:
        return document(await asked.result())

    return promised(request, answer, asked.place)


@router.get("/{pk}", response=answers.Registry, operation_id="registries_get")
def get(request: HttpRequest, pk: str) -> answers.Registry:
    return show(services.found(actor(request), uuid_of(pk, "This registry")))


@router.delete("/{pk}", response={204: None}, operation_id="registries_remove")
def remove(request: HttpRequest, pk: str) -> Status[None]:
    services.remove_registry(actor(request), uuid_of(pk, "This registry"))
    return Status(204, None)

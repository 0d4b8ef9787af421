"""/api/v1/environments: one call for everything that a page can do. Only translates; services decide."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import Field

from panel.api.inputs import Input, Naming
from panel.api.pages import Page, cut, page_of
from panel.api.promised import document, promised
from panel.api.root import actor, uuid_of
from panel.api.versions import expected_version
from panel.console.services import close_terminal, console_log, list_terminals
from panel.environments import selectors, services
from panel.environments.models import Environment
from panel.errors import Invalid, NotFound
from panel.metering.selectors import traffic_of
from panel.networks.api import show as show_address
from panel.networks.models import Address, PortForward
from panel.nodes.agent import Agent
from panel.operations.models import Operation
from panel.operations.selectors import show as show_operation
from panel.tenants.models import Tenant
from panel.tenants.permissions import Permission
from panel.tenants.selectors import tenant_of

router = Router()
Json = dict[str, Any]
WHAT = "This environment"


class NewEnvironment(Input):
    name: str = Field(max_length=4096)
    image: str = Field(max_length=4096)
    tenant: Naming | None = None
    plan: str = ""
    limits: Json | None = None
    kind: str = "system"
    kernel: str = "shared"
    description: str = ""
    ssh_keys: list[str] = Field(default=[], max_length=50)
    root_password: str = ""
    ipv4: int | None = None
    ipv6: int | None = None
    network: Json | None = None
    security: Json | None = None
    devices: list[str] = Field(default=[], max_length=20)
    restart: Json | None = None
    stop_timeout_s: float | None = None
    tags: list[str] = Field(default=[], max_length=100)
    is_started: bool = True


class EnvironmentToChange(Input):
    name: str | None = None
    description: str | None = None
    plan: str | None = None
    follows_plan: bool | None = None
    limits: Json | None = None
    ssh_keys: list[str] | None = None
    network: Json | None = None
    security: Json | None = None
    devices: list[str] | None = Field(default=None, max_length=20)
    restart: Json | None = None
    stop_timeout_s: float | None = None
    tags: list[str] | None = Field(default=None, max_length=100)


class Stop(Input):
    timeout_s: float | None = None


class Reinstall(Input):
    image: str = ""
    keep_old: bool = False
    root_password: str = ""


class Credentials(Input):
    ssh_keys: list[str] | None = None
    root_password: str | None = None


class NewForward(Input):
    protocol: str = "tcp"
    port: int
    node_port: int | None = None
    description: str = ""


class NewAddresses(Input):
    family: int = 4
    count: int = 1


class Exec(Input):
    command: list[str] = Field(min_length=1, max_length=1000)
    timeout_s: float = Field(default=60, gt=0, le=600)
    stdin: str = Field(default="", max_length=1_000_000)


class Filters(Page):
    name: str = ""
    tenant: str = ""
    state: str = ""
    node: str = ""
    image: str = ""
    tag: list[str] = Field(default=[], max_length=20, description="Several: all of them.")
    search: str = ""
    sort: str = "name"


def _show(row: Environment) -> Json:
    return selectors.show(row, selectors.addresses_of([row.pk]).get(row.pk, []))


def _accepted(request: HttpRequest, changed: services.Changed) -> Status[Json]:
    """202 with the environment, the operation to watch, and what is shown only once."""
    row = changed.environment
    if not actor(request).can(Permission.ENVIRONMENT_VIEW, row):
        document: Json = {"id": str(row.pk)}
    elif changed.new is None:
        document = _show(row)
    else:
        document = selectors.show(row, changed.new.addresses, tags=changed.new.tags, is_new=True)
    document["operation"] = show_operation(changed.operation) if changed.operation else None
    if changed.root_password:
        document["root_password"] = changed.root_password
    return Status(202, document)


def _default_tenant(request: HttpRequest, given: str | None) -> Tenant:
    """The tenant that is meant: the given one, else the only one that the actor may create in."""
    who = actor(request)
    if given:
        return tenant_of(who, given)
    found = list(Tenant.objects.for_actor(who, Permission.ENVIRONMENT_CREATE)[:2])
    if len(found) == 1:
        return found[0]
    raise Invalid(_("Say in which tenant: its id or slug."), field="tenant")


@router.get("", response=Json, operation_id="environments_list")
def list_(request: HttpRequest, filters: Query[Filters]) -> Json:
    values = filters.model_dump(exclude={"limit", "offset"})
    rows = selectors.environments(actor(request), values)
    found, count = cut(rows, filters)
    addresses = selectors.addresses_of(row.pk for row in found)
    return {"items": [selectors.show(row, addresses.get(row.pk, [])) for row in found], **count}


@router.post("", response={202: Json}, operation_id="environments_create")
def create(request: HttpRequest, payload: NewEnvironment) -> Status[Json]:
    tenant = _default_tenant(request, payload.tenant)
    values = payload.model_dump(exclude={"tenant"})
    return _accepted(request, services.create_environment(actor(request), tenant, **values))


@router.get("/{pk}", response=Json, operation_id="environments_get")
def get(request: HttpRequest, pk: str) -> Json:
    row = selectors.environments(actor(request)).filter(pk=uuid_of(pk, WHAT)).first()
    if row is None:
        raise NotFound(WHAT)
    return {**_show(row), "traffic": traffic_of(row)}


@router.patch("/{pk}", response={202: Json}, operation_id="environments_update")
def update(request: HttpRequest, pk: str, payload: EnvironmentToChange) -> Status[Json]:
    """`If-Match` with the version that you have read: 412 when it was changed since."""
    changes = payload.model_dump(exclude_unset=True)
    version = expected_version(request)
    changed = services.update_environment(actor(request), uuid_of(pk, WHAT), changes, version=version)
    return _accepted(request, changed)


@router.delete("/{pk}", response={202: Json}, operation_id="environments_delete")
def delete(request: HttpRequest, pk: str) -> Status[Json]:
    """`If-Match` with the version that you have read: 412 when it was changed since."""
    version = expected_version(request)
    return _accepted(request, services.delete_environment(actor(request), uuid_of(pk, WHAT), version=version))


@router.post("/{pk}/start", response={202: Json}, operation_id="environments_start")
def start(request: HttpRequest, pk: str) -> Status[Json]:
    return _accepted(request, services.start(actor(request), uuid_of(pk, WHAT)))


@router.post("/{pk}/stop", response={202: Json}, operation_id="environments_stop")
def stop(request: HttpRequest, pk: str, payload: Stop | None = None) -> Status[Json]:
    timeout_s = payload.timeout_s if payload else None
    return _accepted(request, services.stop(actor(request), uuid_of(pk, WHAT), timeout_s=timeout_s))


@router.post("/{pk}/restart", response={202: Json}, operation_id="environments_restart")
def restart(request: HttpRequest, pk: str) -> Status[Json]:
    return _accepted(request, services.restart(actor(request), uuid_of(pk, WHAT)))


@router.post("/{pk}/pause", response={202: Json}, operation_id="environments_pause")
def pause(request: HttpRequest, pk: str) -> Status[Json]:
    return _accepted(request, services.pause(actor(request), uuid_of(pk, WHAT)))


@router.post("/{pk}/resume", response={202: Json}, operation_id="environments_resume")
def resume(request: HttpRequest, pk: str) -> Status[Json]:
    return _accepted(request, services.resume(actor(request), uuid_of(pk, WHAT)))


@router.post("/{pk}/reinstall", response={202: Json}, operation_id="environments_reinstall")
def reinstall(request: HttpRequest, pk: str, payload: Reinstall | None = None) -> Status[Json]:
    values = (payload or Reinstall()).model_dump()
    return _accepted(request, services.reinstall(actor(request), uuid_of(pk, WHAT), **values))


@router.post("/{pk}/credentials", response={202: Json}, operation_id="environments_credentials")
def credentials(request: HttpRequest, pk: str, payload: Credentials) -> Status[Json]:
    values = payload.model_dump()
    return _accepted(request, services.set_credentials(actor(request), uuid_of(pk, WHAT), **values))


@router.get("/{pk}/addresses", response=Json, operation_id="environments_addresses")
def addresses(request: HttpRequest, pk: str) -> Json:
    row = Environment.objects.get_for(actor(request), uuid_of(pk, WHAT))
    found = Address.objects.filter(environment=row).held()
    return {"items": [show_address(one) for one in found], "count": len(found)}


@router.post("/{pk}/addresses", response={202: Json}, operation_id="environments_add_addresses")
def add_addresses(request: HttpRequest, pk: str, payload: NewAddresses | None = None) -> Status[Json]:
    values = (payload or NewAddresses()).model_dump()
    _made, changed = services.add_addresses(actor(request), uuid_of(pk, WHAT), **values)
    return _accepted(request, changed)


@router.delete("/{pk}/addresses/{address}", response={202: Json}, operation_id="environments_remove_address")
def remove_address(request: HttpRequest, pk: str, address: str) -> Status[Json]:
    """By its id, as `GET …/addresses` gives it."""
    address_id = uuid_of(address, "This address")
    return _accepted(request, services.remove_address(actor(request), uuid_of(pk, WHAT), address_id))


@router.get("/{pk}/forwards", response=Json, operation_id="environments_forwards")
def forwards(request: HttpRequest, pk: str) -> Json:
    row = Environment.objects.get_for(actor(request), uuid_of(pk, WHAT))
    found = PortForward.objects.filter(environment=row)
    return {"items": [selectors.show_forward(one) for one in found], "count": len(found)}


@router.post("/{pk}/forwards", response={202: Json}, operation_id="environments_add_forward")
def add_forward(request: HttpRequest, pk: str, payload: NewForward) -> Status[Json]:
    forward, operation = services.add_forward(actor(request), uuid_of(pk, WHAT), **payload.model_dump())
    shown = selectors.show_forward(forward)
    return Status(202, {**shown, "operation": show_operation(operation) if operation else None})


@router.delete("/{pk}/forwards/{forward}", response={202: Json}, operation_id="environments_remove_forward")
def remove_forward(request: HttpRequest, pk: str, forward: str) -> Status[Json]:
    forward_id: UUID = uuid_of(forward, "This port forward")
    return _accepted(request, services.remove_forward(actor(request), uuid_of(pk, WHAT), forward_id))


@router.get("/{pk}/operations", response=Json, operation_id="environments_operations")
def operations(request: HttpRequest, pk: str, page: Query[Page]) -> Json:
    row = Environment.objects.get_for(actor(request), uuid_of(pk, WHAT))
    rows = Operation.objects.for_actor(actor(request)).filter(environment=row)
    return page_of(rows, page, lambda one: show_operation(one, with_steps=False))


@router.post("/{pk}/exec", response=Json, operation_id="environments_exec")
def execute(request: HttpRequest, pk: str, payload: Exec) -> HttpResponse:
    """Runs one command as root inside; its output and exit code.

    Who hangs up ends it, unless the request has an `Idempotency-Key`, under which its answer is kept."""
    who = actor(request)
    found = selectors.living_one(who, uuid_of(pk, WHAT))
    who.require(Permission.ENVIRONMENT_EXEC, found)
    running = services.execute(who, found, Agent(found.node), **payload.model_dump())

    async def said() -> HttpResponse:
        return document(await running.result())

    return promised(request, said, running.place)


@router.get("/{pk}/console/log", response={200: None}, operation_id="environments_console_log")
def download_console(request: HttpRequest, pk: str, format: str = "text") -> HttpResponse:
    """What its console printed: `text`, as it came, or `cast`, an asciicast with its times."""
    record = console_log(actor(request), uuid_of(pk, WHAT), format)
    return promised(request, record.answer, record.place)


@router.get("/{pk}/terminals", response=Json, operation_id="environments_terminals")
def terminals(request: HttpRequest, pk: str) -> HttpResponse:
    """Root shells that run inside; `/ws/environments/{pk}/terminals/{name}` goes on with one."""
    looked = list_terminals(actor(request), uuid_of(pk, WHAT))

    async def answer() -> HttpResponse:
        found = await looked.result()
        return document({"items": found, "count": len(found)})

    return promised(request, answer, looked.place)


@router.delete("/{pk}/terminals/{name}", response={204: None}, operation_id="environments_close_terminal")
def end_terminal(request: HttpRequest, pk: str, name: str) -> HttpResponse:
    closing = close_terminal(actor(request), uuid_of(pk, WHAT), name)

    async def answer() -> HttpResponse:
        await closing.result()
        return HttpResponse(status=204)

    return promised(request, answer, closing.place)

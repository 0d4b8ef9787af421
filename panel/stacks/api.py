"""/api/v1/stacks"""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from panel.http.answers import Json, ListOf
from panel.http.inputs import CheckedAs, Input, Naming, in_part
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.rights.asking import actor
from panel.stacks import answers, selectors, services
from panel.stacks.services import Asked
from panel.tenants.selectors import tenant_of
from runtime.contract import Limits

router = Router()
_THIS = "This stack"


class StackChange(Input):
    compose: str | None = Field(default=None, max_length=1_100_000, description="A Compose file.")
    env: str | None = Field(default=None, max_length=524_288, description="A file of variables, as .env.")
    variables: dict[str, str] | None = Field(default=None, description="They stand over those of `env`.")
    files: dict[str, str] | None = Field(
        default=None, description="Files that the Compose file names, by the path that it names them by."
    )
    profiles: list[str] | None = None
    scale: dict[str, int] | None = Field(default=None, description="Copies by service.")
    plan: str | None = Field(default=None, max_length=63, description="Of each environment.")
    limits: Annotated[Json, CheckedAs(in_part(Limits))] | None = Field(
        default=None, description="Of services that say nothing themselves."
    )
    volume_mb: int | None = Field(
        default=None, ge=16, le=1_073_741_824, description="MiB of a volume that says nothing itself."
    )


class NewStack(StackChange):
    name: str = Field(max_length=255, description="Its environments are called NAME-SERVICE-NUMBER.")
    compose: str = Field(max_length=1_100_000, description="A Compose file.")
    tenant: Naming
    node: str = Field(default="", max_length=255, description="By name or id; empty: chosen.")


class StackReplaced(StackChange):
    compose: str = Field(max_length=1_100_000, description="A Compose file.")


class Scale(Input):
    scale: dict[str, int] = Field(description="Copies by service: 0 to 20.")


@router.get("", response=ListOf[answers.Listed], operation_id="stacks_list")
def list_(request: HttpRequest, page: Query[Page]) -> ListOf[answers.Listed]:
    rows = selectors.rows_of(actor(request))
    known = selectors.operations_of(list(rows))
    return page_of(rows, page, lambda one: selectors.show_listed(one, known.get(one.pk)))


@router.post("", response={200: answers.StackPreview, 202: answers.Stack}, operation_id="stacks_create")
def create(
    request: HttpRequest, payload: NewStack, preview: bool = False
) -> Status[answers.Stack | answers.StackPreview]:
    """All that the file asks for and that can't be had is refused at once, by name and line. With `preview`
    nothing is made, and what would be is told."""
    who = actor(request)
    tenant = tenant_of(who, payload.tenant)
    values: dict[str, Any] = {"name": payload.name, "node": payload.node, "asked": _asked(payload)}
    if preview:
        return Status(200, selectors.show_preview(services.preview_new(who, tenant, **values)))
    stack, _operation = services.create_stack(who, tenant, **values)
    return Status(202, selectors.show(stack))


@router.get("/{pk}", response=answers.Stack, operation_id="stacks_get")
def get(request: HttpRequest, pk: str) -> answers.Stack:
    return selectors.show(selectors.found(actor(request), uuid_of(pk, _THIS)))


@router.put("/{pk}", response={200: answers.StackPreview, 202: answers.Stack}, operation_id="stacks_replace")
def replace(
    request: HttpRequest, pk: str, payload: StackReplaced, preview: bool = False
) -> Status[answers.Stack | answers.StackPreview]:
    """Services that are other than before are made anew, those that are gone are deleted; volumes stay."""
    return _change(request, pk, payload, preview=preview)


@router.patch("/{pk}", response={200: answers.StackPreview, 202: answers.Stack}, operation_id="stacks_update")
def update(
    request: HttpRequest, pk: str, payload: StackChange, preview: bool = False
) -> Status[answers.Stack | answers.StackPreview]:
    """As `PUT`, of what is given."""
    return _change(request, pk, payload, preview=preview)


@router.post("/{pk}/scale", response={202: answers.Stack}, operation_id="stacks_scale")
def scale(request: HttpRequest, pk: str, payload: Scale) -> Status[answers.Stack]:
    """Services that aren't named keep what they have."""
    who, stack = actor(request), selectors.found(actor(request), uuid_of(pk, _THIS))
    asked = Asked(scale={**stack.scale, **payload.scale})
    return Status(202, selectors.show(services.change_stack(who, stack.pk, asked)[0]))


@router.post("/{pk}/rollback", response={202: answers.Stack}, operation_id="stacks_rollback")
def rollback(request: HttpRequest, pk: str) -> Status[answers.Stack]:
    """To what it was before its last change: services that were other then are made anew. Twice leads back."""
    stack, _operation = services.roll_back(actor(request), uuid_of(pk, _THIS))
    return Status(202, selectors.show(stack))


@router.post("/{pk}/start", response={202: answers.Stack}, operation_id="stacks_start")
def start(request: HttpRequest, pk: str) -> Status[answers.Stack]:
    """In the order of `depends_on`."""
    stack, _operation = services.set_running(actor(request), uuid_of(pk, _THIS), running=True)
    return Status(202, selectors.show(stack))


@router.post("/{pk}/stop", response={202: answers.Stack}, operation_id="stacks_stop")
def stop(request: HttpRequest, pk: str) -> Status[answers.Stack]:
    """Whoever waits for others ends before them."""
    stack, _operation = services.set_running(actor(request), uuid_of(pk, _THIS), running=False)
    return Status(202, selectors.show(stack))


@router.delete("/{pk}", response={202: answers.Stack}, operation_id="stacks_delete")
def delete(request: HttpRequest, pk: str, volumes: bool = False) -> Status[answers.Stack]:
    """Its environments, for good. Its volumes stay, unless `volumes` says otherwise."""
    stack, _operation = services.delete_stack(actor(request), uuid_of(pk, _THIS), with_volumes=volumes)
    return Status(202, selectors.show(stack))


def _asked(payload: StackChange) -> Asked:
    return Asked(**payload.model_dump(exclude={"name", "tenant", "node"}))


def _change(
    request: HttpRequest, pk: str, payload: StackChange, *, preview: bool
) -> Status[answers.Stack | answers.StackPreview]:
    who, stack = actor(request), uuid_of(pk, _THIS)
    if preview:
        return Status(200, selectors.show_preview(services.preview_change(who, stack, _asked(payload))))
    return Status(202, selectors.show(services.change_stack(who, stack, _asked(payload))[0]))

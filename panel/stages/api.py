"""/api/v1/stages"""

from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import Field

from panel.environments.models import Environment
from panel.errors import NotFound
from panel.http.answers import ListOf
from panel.http.inputs import Input, Naming
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.operations.selectors import show as show_operation
from panel.rights.actor import Actor
from panel.rights.asking import actor
from panel.stages import answers, services
from panel.stages.models import Rollout, Stage
from panel.stages.selectors import show
from panel.tenants.models import Tenant
from panel.tenants.selectors import tenant_of

router = Router()
_THIS = "This stage"


class StageChange(Input):
    environments: list[Naming] | None = Field(
        default=None,
        max_length=50,
        description="Its copies, by id or by name within the tenant; in this order.",
    )
    needs_health: bool | None = Field(
        default=None, description="Nothing goes on unless all of it runs and is well."
    )
    command: list[str] | None = Field(
        default=None, description="Nothing goes on unless it ends with 0 in the first copy; []: none."
    )
    needs_yes: bool | None = Field(default=None, description="Nothing goes on unless a person says yes.")
    drain_s: int | None = Field(
        default=None, description="Seconds for requests under way, before a copy is replaced."
    )


class NewStage(StageChange):
    tenant: Naming
    line: str = Field(max_length=63, description="What goes through it: `shop`.")
    name: str = Field(max_length=63, description="`test`; it becomes the last of its line.")


class Deployed(Input):
    image: str = Field(max_length=400, description="As `docker pull` reads it.")


@router.get("", response=ListOf[answers.Stage], operation_id="stages_list")
def list_(request: HttpRequest, page: Query[Page]) -> ListOf[answers.Stage]:
    return page_of(Stage.objects.for_actor(actor(request)), page, show)


@router.post("", response={201: answers.Stage}, operation_id="stages_create")
def create(request: HttpRequest, payload: NewStage) -> Status[answers.Stage]:
    who = actor(request)
    tenant = tenant_of(who, payload.tenant)
    options = payload.model_dump(exclude={"tenant", "environments"})
    copies = _copies(who, tenant, payload.environments or [])
    return Status(201, show(services.add_stage(who, tenant, environments=copies, **options)))


@router.get("/{pk}", response=answers.Stage, operation_id="stages_get")
def get(request: HttpRequest, pk: str) -> answers.Stage:
    return show(services.found_stage(actor(request), uuid_of(pk, _THIS)))


@router.patch("/{pk}", response=answers.Stage, operation_id="stages_update")
def update(request: HttpRequest, pk: str, payload: StageChange) -> answers.Stage:
    who, stage = actor(request), uuid_of(pk, _THIS)
    row = services.found_stage(who, stage)
    copies = None if payload.environments is None else _copies(who, row.tenant, payload.environments)
    options = payload.model_dump(exclude={"environments"}, exclude_unset=True)
    return show(services.change_stage(who, stage, environments=copies, **options))


@router.delete("/{pk}", response={204: None}, operation_id="stages_delete")
def delete(request: HttpRequest, pk: str) -> Status[None]:
    """With its history; its environments go on."""
    services.remove_stage(actor(request), uuid_of(pk, _THIS))
    return Status(204, None)


@router.post("/{pk}/promote", response={202: answers.RolledStage}, operation_id="stages_promote")
def promote(request: HttpRequest, pk: str) -> Status[answers.RolledStage]:
    """The very image that it runs, by digest, to the next stage of its line, once its checks hold."""
    return _rolled(services.promote(actor(request), uuid_of(pk, _THIS)))


@router.post("/{pk}/rollback", response={202: answers.RolledStage}, operation_id="stages_rollback")
def rollback(request: HttpRequest, pk: str) -> Status[answers.RolledStage]:
    """To the version before the one that it runs."""
    return _rolled(services.roll_back(actor(request), uuid_of(pk, _THIS)))


@router.post("/{pk}/deploy", response={202: answers.RolledStage}, operation_id="stages_deploy")
def deploy(request: HttpRequest, pk: str, payload: Deployed) -> Status[answers.RolledStage]:
    """An image to all of its copies: how something new comes into a line."""
    return _rolled(services.deploy(actor(request), uuid_of(pk, _THIS), payload.image))


@router.post("/{pk}/approve", response={202: answers.RolledStage}, operation_id="stages_approve")
def approve(request: HttpRequest, pk: str) -> Status[answers.RolledStage]:
    """A person's yes to what waits for it on its way to this stage."""
    return _rolled(services.approve(actor(request), uuid_of(pk, _THIS)))


def _rolled(row: Rollout) -> Status[answers.RolledStage]:
    return Status(202, {**show(row.stage), "operation": show_operation(row.operation)})


def _copies(who: Actor, tenant: Tenant, texts: list[str]) -> list[Environment]:
    return [_environment(who, tenant, text) for text in texts]


def _environment(who: Actor, tenant: Tenant, text: str) -> Environment:
    rows = Environment.objects.in_use().for_actor(who).select_related("tenant")
    try:
        found = rows.filter(pk=UUID(text)).first()
    except ValueError:
        found = rows.filter(tenant=tenant, name=text).first()
    if found is None:
        raise NotFound(_("This environment"))
    return found

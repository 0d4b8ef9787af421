"""/api/v1/environments: one call for everything that a page can do. Only translates; services decide."""

from typing import Annotated, Literal, cast

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router, Status
from pydantic import Field, create_model

from panel.environments import answers, points, selectors, services
from panel.environments.accepted import WHAT, accepted, show
from panel.environments.features import FEATURES, shown_of
from panel.environments.models import Environment
from panel.environments.options import asked_types
from panel.errors import Invalid, NotFound
from panel.http.answers import Json, ListOf
from panel.http.inputs import CheckedAs, Input, Moment, Naming, in_part
from panel.http.pages import Page, cut, page_of
from panel.http.paths import uuid_of
from panel.http.versions import expected_version
from panel.nodes.agent import Agent
from panel.operations.answers import ListedOperation
from panel.operations.models import Operation
from panel.operations.selectors import show_listed
from panel.rights.asking import actor
from panel.rights.permissions import Permission
from panel.serving.promised import document, promised
from panel.tenants.models import Tenant
from panel.tenants.selectors import tenant_of
from runtime.contract import Limits

router = Router()


#: Each option as a request may have it; what isn't said, or null, stays as it is.
_Options: type[Input] = create_model("_Options", __base__=Input, **asked_types())


class NewEnvironment(_Options):
    name: str = Field(max_length=4096)
    image: str = Field(default="", max_length=4096, description="Of a directory and of an empty jail: none.")
    tenant: Naming | None = None
    plan: str = ""
    limits: Annotated[Json, CheckedAs(in_part(Limits))] | None = None
    kind: str = "system"
    kernel: str = "shared"
    description: str = ""
    ssh_keys: list[str] = Field(default=[], max_length=50)
    root_password: str = ""
    ipv4: int | None = None
    ipv6: int | None = None
    tags: list[str] = Field(default=[], max_length=100)
    is_started: bool = True


class EnvironmentToChange(_Options):
    name: str | None = None
    kernel: str | None = Field(default=None, description="Of one that is stopped; held from its next start on.")
    description: str | None = None
    plan: str | None = None
    follows_plan: bool | None = None
    limits: Annotated[Json, CheckedAs(in_part(Limits))] | None = None
    ssh_keys: list[str] | None = None
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


class Undelete(Input):
    name: str = Field(default="", description="Another one, where somebody has its own by now.")


class ToRescue(Input):
    network: bool = Field(default=True, description="Off: nothing goes in or out on its addresses meanwhile.")


class Exec(Input):
    command: list[str] = Field(min_length=1, max_length=1000)
    timeout_s: float = Field(default=60, gt=0, le=600)
    stdin: str = Field(default="", max_length=1_000_000)
    encoding: Literal["text", "base64"] = Field(
        default="text", description="Of stdout and stderr: `base64` gives every byte."
    )


class Filters(Page):
    name: str = ""
    tenant: str = ""
    state: str = ""
    node: str = ""
    image: str = ""
    tag: list[str] = Field(default=[], max_length=20, description="Several: all of them.")
    search: str = ""
    trashed: bool = Field(default=False, description="Those in the trash, which are left out else.")
    sort: str = "name"


def _default_tenant(request: HttpRequest, given: str | None) -> Tenant:
    """The tenant that is meant: the given one, else the only one that the actor may create in."""
    who = actor(request)
    if given:
        return tenant_of(who, given)
    found = list(Tenant.objects.for_actor(who, Permission.ENVIRONMENT_CREATE)[:2])
    if len(found) == 1:
        return found[0]
    raise Invalid(_("Say in which tenant: its id or slug."), field="tenant")


@router.get("", response=ListOf[answers.ListedEnvironment], operation_id="environments_list")
def list_(request: HttpRequest, filters: Query[Filters]) -> ListOf[answers.ListedEnvironment]:
    values = filters.model_dump(exclude={"limit", "offset"})
    rows = selectors.environments(actor(request), values)
    found, count = cut(rows, filters)
    of_features = shown_of([row.pk for row in found])
    return {"items": [selectors.show(row, of_features(row.pk)) for row in found], **count}


@router.post("", response={202: answers.Accepted}, operation_id="environments_create")
def create(request: HttpRequest, payload: NewEnvironment) -> Status[answers.Accepted]:
    tenant = _default_tenant(request, payload.tenant)
    values = payload.model_dump(exclude={"tenant"})
    return accepted(request, services.create_environment(actor(request), tenant, **values))


@router.get("/{pk}", response=answers.OneEnvironment, operation_id="environments_get")
def get(request: HttpRequest, pk: str) -> answers.OneEnvironment:
    row = selectors.environments(actor(request)).filter(pk=uuid_of(pk, WHAT)).first()
    if row is None:
        raise NotFound(WHAT)
    alone = {key: value for feature in FEATURES for key, value in feature.shown_alone(row).items()}
    return {**show(row), **cast("answers.OfFeaturesAlone", alone)}


@router.patch("/{pk}", response={202: answers.Accepted}, operation_id="environments_update")
def update(request: HttpRequest, pk: str, payload: EnvironmentToChange) -> Status[answers.Accepted]:
    """`If-Match` with the version that you have read: 412 when it was changed since."""
    changes = payload.model_dump(exclude_unset=True)
    version = expected_version(request)
    changed = services.update_environment(actor(request), uuid_of(pk, WHAT), changes, version=version)
    return accepted(request, changed)


@router.post("/{pk}/preview", response=answers.EnvironmentPreview, operation_id="environments_preview")
def preview(request: HttpRequest, pk: str, payload: EnvironmentToChange) -> answers.EnvironmentPreview:
    """What the same body would do as a PATCH: each value now and then, what waits for the next start, what the
    quota has left, or why it can't be. Nothing is changed. What can't be read is refused as the PATCH does."""
    changes = payload.model_dump(exclude_unset=True)
    found = services.preview_change(actor(request), uuid_of(pk, WHAT), changes)
    if isinstance(found.refusal, Invalid):
        raise found.refusal
    return found.show()


@router.delete("/{pk}", response={202: answers.Accepted}, operation_id="environments_delete")
def delete(request: HttpRequest, pk: str, now: bool = False) -> Status[answers.Accepted]:
    """Into the trash, where its plan or tenant has days for that (`trash_days`); with `now`, for good at once.

    `If-Match` with the version that you have read: 412 when it was changed since.
    """
    version = expected_version(request)
    changed = services.delete_environment(actor(request), uuid_of(pk, WHAT), now=now, version=version)
    return accepted(request, changed)


@router.post("/{pk}/undelete", response={202: answers.Accepted}, operation_id="environments_undelete")
def undelete(request: HttpRequest, pk: str, payload: Undelete | None = None) -> Status[answers.Accepted]:
    """Out of the trash, running where it ran. Its addresses, if they still rest; else others."""
    name = payload.name if payload is not None else ""
    version = expected_version(request)
    changed = services.undelete_environment(actor(request), uuid_of(pk, WHAT), name=name, version=version)
    return accepted(request, changed)


@router.post("/{pk}/start", response={202: answers.Accepted}, operation_id="environments_start")
def start(request: HttpRequest, pk: str) -> Status[answers.Accepted]:
    return accepted(request, services.start(actor(request), uuid_of(pk, WHAT)))


@router.post("/{pk}/stop", response={202: answers.Accepted}, operation_id="environments_stop")
def stop(request: HttpRequest, pk: str, payload: Stop | None = None) -> Status[answers.Accepted]:
    timeout_s = payload.timeout_s if payload else None
    return accepted(request, services.stop(actor(request), uuid_of(pk, WHAT), timeout_s=timeout_s))


@router.post("/{pk}/restart", response={202: answers.Accepted}, operation_id="environments_restart")
def restart(request: HttpRequest, pk: str) -> Status[answers.Accepted]:
    return accepted(request, services.restart(actor(request), uuid_of(pk, WHAT)))


@router.post("/{pk}/pause", response={202: answers.Accepted}, operation_id="environments_pause")
def pause(request: HttpRequest, pk: str) -> Status[answers.Accepted]:
    return accepted(request, services.pause(actor(request), uuid_of(pk, WHAT)))


@router.post("/{pk}/resume", response={202: answers.Accepted}, operation_id="environments_resume")
def resume(request: HttpRequest, pk: str) -> Status[answers.Accepted]:
    return accepted(request, services.resume(actor(request), uuid_of(pk, WHAT)))


@router.post("/{pk}/rescue", response={202: answers.Accepted}, operation_id="environments_rescue")
def rescue(request: HttpRequest, pk: str, payload: ToRescue | None = None) -> Status[answers.Accepted]:
    """Starts it, anew where it runs, with a small system of the node's in memory: its disk is at /mnt."""
    values = (payload or ToRescue()).model_dump()
    return accepted(request, services.rescue(actor(request), uuid_of(pk, WHAT), **values))


@router.delete("/{pk}/rescue", response={202: answers.Accepted}, operation_id="environments_leave_rescue")
def leave_rescue(request: HttpRequest, pk: str) -> Status[answers.Accepted]:
    """Back to its own system: at once where it runs, at the next start where it doesn't."""
    return accepted(request, services.leave_rescue(actor(request), uuid_of(pk, WHAT)))


@router.post("/{pk}/reinstall", response={202: answers.Accepted}, operation_id="environments_reinstall")
def reinstall(request: HttpRequest, pk: str, payload: Reinstall | None = None) -> Status[answers.Accepted]:
    values = (payload or Reinstall()).model_dump()
    return accepted(request, services.reinstall(actor(request), uuid_of(pk, WHAT), **values))


@router.post("/{pk}/credentials", response={202: answers.Accepted}, operation_id="environments_credentials")
def credentials(request: HttpRequest, pk: str, payload: Credentials) -> Status[answers.Accepted]:
    values = payload.model_dump()
    return accepted(request, services.set_credentials(actor(request), uuid_of(pk, WHAT), **values))


@router.get("/{pk}/operations", response=ListOf[ListedOperation], operation_id="environments_operations")
def operations(request: HttpRequest, pk: str, page: Query[Page]) -> ListOf[ListedOperation]:
    row = Environment.objects.get_for(actor(request), uuid_of(pk, WHAT))
    rows = Operation.objects.for_actor(actor(request)).filter(environment=row)
    return page_of(rows, page, show_listed)


class Since(Page):
    since: Moment | None = Field(default=None, description="Of that moment or later; left out: all.")


@router.get("/{pk}/points", response=ListOf[answers.Point], operation_id="environments_points")
def list_points(request: HttpRequest, pk: str, asked: Query[Since]) -> ListOf[answers.Point]:
    """Snapshots and backups that its disk can go back to; the newest first."""
    row = Environment.objects.get_for(actor(request), uuid_of(pk, WHAT))
    found = points.points_of(row, asked.offset + asked.limit, asked.since)
    return {"items": [points.show(one) for one in found.newest[asked.offset :]], "count": found.count}


@router.post("/{pk}/exec", response=answers.Executed, operation_id="environments_exec")
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

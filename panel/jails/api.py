"""/api/v1/jails"""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status
from pydantic import Field

from panel.environments.accepted import WHAT
from panel.environments.features import shown_of
from panel.http.answers import Json, ListOf
from panel.http.inputs import CheckedAs, Input, Naming, in_part
from panel.http.pages import Page, cut, page_of
from panel.http.paths import uuid_of
from panel.jails import answers, applying, bases, selectors, services
from panel.jails.conf import MOST_LETTERS
from panel.jails.models import BaseUpdate
from panel.jails.services import Asked
from panel.jails.template import MOST_LETTERS as MOST_OF_A_TEMPLATE
from panel.rights.asking import actor
from panel.serving.promised import document, promised
from panel.tenants.selectors import tenant_of
from runtime.contract import Limits

router = Router()


class JailFilters(Page):
    name: str = ""
    tenant: str = ""
    state: str = ""
    node: str = ""


class JailConf(Input):
    conf: str = Field(max_length=MOST_LETTERS, description="A jail.conf(5), of up to 100 jails.")
    rctl: str = Field(
        default="", max_length=MOST_LETTERS, description="Rules for them, as rctl.conf(5) has them."
    )
    tenant: Naming
    image: str = Field(default="", max_length=400, description="Of each; none for empty ones.")
    base: str = Field(default="thin", max_length=16, description="thin, thick or empty.")
    plan: str = Field(default="", max_length=63)
    limits: Annotated[Json, CheckedAs(in_part(Limits))] | None = None
    ssh_keys: list[str] = Field(default=[], max_length=50)
    is_started: bool = True
    leave_out: bool = Field(default=False, description="What can't be honoured, instead of refusing the file.")


@router.get("", response=ListOf[answers.Jail], operation_id="jails_list")
def list_(request: HttpRequest, filters: Query[JailFilters]) -> ListOf[answers.Jail]:
    """As jls(8) lists them, those in the trash included."""
    values: dict[str, Any] = filters.model_dump(exclude={"limit", "offset"})
    found, count = cut(selectors.rows_of(actor(request), values), filters)
    of_features = shown_of([row.pk for row in found])
    return {"items": [selectors.show(row, of_features(row.pk)) for row in found], **count}


@router.post(
    "/import", response={200: answers.JailPreview, 202: answers.JailImport}, operation_id="jails_import"
)
def import_(
    request: HttpRequest, payload: JailConf, preview: bool = False
) -> Status[answers.JailPreview | answers.JailImport]:
    """All of its jails are made, or none. What can't be honoured is named by line. With `preview` nothing is
    made, and what would be is told."""
    who = actor(request)
    tenant = tenant_of(who, payload.tenant)
    values = payload.model_dump(exclude={"tenant", "leave_out"})
    asked = Asked(**values, leaves_out=payload.leave_out)
    if preview:
        jails = services.preview_import(who, tenant, asked)
        return Status(200, {"jails": [selectors.show_wanted(one) for one in jails]})
    made = services.import_conf(who, tenant, asked)
    return Status(202, {"jails": [selectors.show_made(one) for one in made]})


class NewBaseUpdate(Input):
    tenant: Naming
    image: str = Field(max_length=64, description="Its thin jails are brought to the newest build of it.")
    jails: list[Naming] = Field(
        default=[], max_length=200, description="By id or name; none named: all of them."
    )


class BegunBaseUpdate(NewBaseUpdate):
    command: list[str] = Field(
        default=[], max_length=64, description="Has to end with 0 in each, else all of them go back; []: none."
    )


@router.post("/base-updates/preview", response=answers.BasePreview, operation_id="jails_base_updates_preview")
def preview_update(request: HttpRequest, payload: NewBaseUpdate) -> HttpResponse:
    """What the newest build would change for which jail: packages, files, settings. Nothing is begun."""
    who = actor(request)
    asked = bases.preview(who, tenant_of(who, payload.tenant), payload.image, payload.jails)

    async def answer() -> HttpResponse:
        said = await asked.result()
        shown = [selectors.show_foreseen(*each) for each in zip(asked.jails, said, strict=True)]
        return document({"jails": shown})

    return promised(request, answer, asked.place)


@router.get("/base-updates", response=ListOf[answers.BaseUpdate], operation_id="jails_base_updates_list")
def list_updates(request: HttpRequest, page: Query[Page]) -> ListOf[answers.BaseUpdate]:
    rows = BaseUpdate.objects.for_actor(actor(request)).select_related("operation")
    return page_of(rows, page, selectors.show_update)


@router.post("/base-updates", response={202: answers.BaseUpdate}, operation_id="jails_base_updates_create")
def begin_update(request: HttpRequest, payload: BegunBaseUpdate) -> Status[answers.BaseUpdate]:
    """One jail after the other. One that isn't well takes all back; its operation is cancelled likewise."""
    who = actor(request)
    tenant = tenant_of(who, payload.tenant)
    row = bases.update(who, tenant, payload.image, payload.jails, payload.command)
    return Status(202, selectors.show_update(row))


@router.post(
    "/base-updates/{pk}/rollback",
    response={202: answers.BaseUpdate},
    operation_id="jails_base_updates_rollback",
)
def roll_back_update(request: HttpRequest, pk: str) -> Status[answers.BaseUpdate]:
    """All that it brought to another build, back to the one before, as one."""
    row = bases.roll_back(actor(request), uuid_of(pk, "This update"))
    return Status(202, selectors.show_update(row))


class BastilleTemplate(Input):
    template: str = Field(max_length=MOST_OF_A_TEMPLATE, description="A Bastillefile.")
    files: dict[str, str] = Field(
        default={}, description="What its CP lines copy, by path; `base64:` in front of what is no text."
    )
    args: dict[str, str] = Field(default={}, description="Values of its ARG lines.")
    leave_out: bool = Field(default=False, description="What can't be honoured, instead of refusing it.")
    within_s: float = Field(default=600, gt=0, le=600, description="How long all of its steps may take.")


@router.post(
    "/{pk}/template",
    response=answers.Template | answers.AppliedTemplate,
    operation_id="jails_template",
)
def apply_template(
    request: HttpRequest, pk: str, payload: BastilleTemplate, preview: bool = False
) -> HttpResponse | answers.Template:
    """Limits, forwards and tags are changed, or nothing is; then its steps run inside, up to the first that
    fails. What can't be honoured is named by line. With `preview` nothing is done, only told."""
    who, jail = actor(request), uuid_of(pk, WHAT)
    values = payload.model_dump(exclude={"leave_out"})
    asked = applying.Asked(**values, leaves_out=payload.leave_out)
    if preview:
        return selectors.show_template(applying.preview(who, jail, asked))
    going = applying.apply(who, jail, asked)

    async def answer() -> HttpResponse:
        done = await going.result()
        return document({**selectors.show_template(going.template), **done})

    return promised(request, answer, going.place)

"""/api/v1/jails"""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Status
from pydantic import Field

from panel.environments.features import shown_of
from panel.http.answers import Json, ListOf
from panel.http.inputs import CheckedAs, Input, Naming, in_part
from panel.http.pages import Page, cut
from panel.jails import answers, selectors, services
from panel.jails.conf import MOST_LETTERS
from panel.jails.services import Asked
from panel.rights.asking import actor
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

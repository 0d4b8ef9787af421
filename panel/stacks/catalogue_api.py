"""/api/v1/catalogue: stacks that are there to be taken."""

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from panel.http.answers import ListOf
from panel.http.inputs import Input, Naming
from panel.rights.asking import actor
from panel.stacks import answers, entries, from_catalogue, selectors
from panel.tenants.selectors import tenant_of

router = Router()


class Taken(Input):
    tenant: Naming
    name: str = Field(max_length=255, description="Of the stack.")
    variables: dict[str, str] = Field(
        default_factory=dict, description="What it asks; passwords are made where none is given."
    )
    plan: str = Field(default="", max_length=63, description="Of each environment.")
    node: str = Field(default="", max_length=255, description="By name or id; empty: chosen.")


@router.get("", response=ListOf[answers.Entry], operation_id="catalogue_list")
def list_(request: HttpRequest) -> ListOf[answers.Entry]:
    found = [entries.show(one) for one in entries.entries().values()]
    return {"items": found, "count": len(found), "count_is_exact": True}


@router.get("/{name}", response=answers.Entry, operation_id="catalogue_get")
def get(request: HttpRequest, name: str) -> answers.Entry:
    """With its Compose file."""
    return entries.show(entries.entry(name))


@router.post("/{name}", response={202: answers.TakenStack}, operation_id="catalogue_take")
def take(request: HttpRequest, name: str, payload: Taken) -> Status[answers.TakenStack]:
    """A stack of it. Passwords that were made are in this answer and in no other."""
    who, one = actor(request), entries.entry(name)
    stack, made = from_catalogue.take(
        who,
        tenant_of(who, payload.tenant),
        one,
        name=payload.name,
        given=payload.variables,
        plan=payload.plan,
        node=payload.node,
    )
    return Status(202, {**selectors.show(stack), "generated": made})

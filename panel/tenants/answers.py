"""What the API answers about tenants."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import As, Id, Moment
from panel.tenants.models import SuspendedHow, TenantState


class Tenant(TypedDict):
    id: Id
    name: str
    slug: str
    parent: Id | None
    state: Annotated[str, As(TenantState)]
    suspended_reason: str
    suspended_how: Annotated[str, As(SuspendedHow), Field(description="What a suspension does to what runs.")]
    delete_at: Annotated[Moment | None, Field(description="When it is deleted with all that it owns.")]
    must_use_plans: bool
    trash_days: Annotated[
        int, Field(description="How long what is deleted can be brought back; 0: not at all.")
    ]
    requires_mfa: Annotated[bool, Field(description="Of its people and those of tenants below it.")]
    time_zone: str
    version: Annotated[int, Field(description="Counts up with every change; for If-Match.")]


class OneTenant(Tenant):
    quota: Annotated[
        dict[str, float | None], Field(description="The limit of each resource; null: not limited here.")
    ]

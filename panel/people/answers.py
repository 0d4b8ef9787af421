"""What the API answers about members, roles, invitations, shares, support and tokens."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import Id, Moment


class Member(TypedDict):
    user: Id
    username: str
    email: str
    role: Annotated[str, Field(description="A fixed role's name, or `custom:<id>`.")]
    version: Annotated[int, Field(description="Counts up with every change; for If-Match.")]


class Role(TypedDict):
    id: Id
    name: str
    permissions: list[str]
    version: Annotated[int, Field(description="Counts up with every change; for If-Match.")]


class Invitation(TypedDict):
    id: Id
    email: str
    role: str
    environment: Annotated[Id | None, Field(description="Of a share: the one environment that it is for.")]
    permissions: list[str]
    share_ends_at: Moment | None
    expires_at: Moment


class Share(TypedDict):
    id: Id
    user: Id
    username: str
    permissions: list[str]
    expires_at: Moment


class SupportAccess(TypedDict):
    id: Id
    tenant: Id
    who: str
    reason: str
    started_at: Moment
    ends_at: Moment
    ended_at: Moment | None
    ended_by: Annotated[str, Field(description="Empty while it runs, and when it ended by itself.")]
    is_running: bool


class EnteredSupport(SupportAccess):
    token: Annotated[
        str, Field(description="`wdh_…`; speaks in this access alone and ends with it. Shown this once.")
    ]


class Token(TypedDict):
    id: Id
    name: str
    who: str
    tenant: Id | None
    permissions: list[str]
    networks: list[str]
    environments: list[Id]
    made_by: Annotated[Id | None, Field(description="The token that made it.")]
    support: Annotated[Id | None, Field(description="The support access that it ends with.")]
    expires_at: Moment | None
    last_used_at: Moment | None
    last_used_from: str | None


class NewToken(Token):
    token: Annotated[str, Field(description="`wdh_…`; shown this once.")]

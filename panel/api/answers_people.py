"""What answers about people hold: members, roles, invitations, shares, support, tokens, sign-ins."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from panel.api.answer import Answer


class Member(Answer):
    user: UUID
    username: str
    email: str
    role: str = Field(description="A fixed role's name, or `custom:<id>`.")
    version: int = Field(description="Counts up with every change; for If-Match.")


class Role(Answer):
    id: UUID
    name: str
    permissions: list[str]
    version: int = Field(description="Counts up with every change; for If-Match.")


class Invitation(Answer):
    id: UUID
    email: str
    role: str
    environment: UUID | None = Field(description="Of a share: the one environment that it is for.")
    permissions: list[str]
    share_ends_at: datetime | None
    expires_at: datetime


class Share(Answer):
    id: UUID
    user: UUID
    username: str
    permissions: list[str]
    expires_at: datetime


class SupportAccess(Answer):
    id: UUID
    tenant: UUID
    who: str
    reason: str
    started_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    ended_by: str = Field(description="Empty while it runs, and when it ended by itself.")
    is_running: bool


class EnteredSupport(SupportAccess):
    token: str = Field(description="`wdh_…`; speaks in this access alone and ends with it. Shown this once.")


class SignInPolicy(Answer):
    requires_mfa: bool
    people_without_second_factor: int
    single_sign_on: dict[str, str] | None
    passkeys: bool
    mails_go_out: bool
    longest_session_s: int
    idle_session_s: int


class Session(Answer):
    id: str
    ip: str
    user_agent: str
    created_at: datetime
    is_current: bool = Field(description="The one that asks.")


class SshKey(Answer):
    id: UUID
    name: str
    text: str
    fingerprint: str
    created_at: datetime


class Token(Answer):
    id: UUID
    name: str
    who: str
    tenant: UUID | None
    permissions: list[str]
    networks: list[str]
    environments: list[UUID]
    made_by: UUID | None = Field(description="The token that made it.")
    support: UUID | None = Field(description="The support access that it ends with.")
    expires_at: datetime | None
    last_used_at: datetime | None
    last_used_from: str | None


class NewToken(Token):
    token: str = Field(description="`wdh_…`; shown this once.")

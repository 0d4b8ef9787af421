"""What the API answers about sign-ins, and about one's own keys."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import Id, Moment


class SignInPolicy(TypedDict):
    requires_mfa: bool
    people_without_second_factor: int
    single_sign_on: dict[str, str] | None
    passkeys: bool
    mails_go_out: bool
    longest_session_s: int
    idle_session_s: int


class Session(TypedDict):
    id: str
    ip: str
    user_agent: str
    created_at: Moment
    is_current: Annotated[bool, Field(description="The one that asks.")]


class SshKey(TypedDict):
    id: Id
    name: str
    text: str
    fingerprint: str
    created_at: Moment

"""/api/v1/sign-in-policy and /api/v1/sessions"""

from django.http import HttpRequest
from ninja import Router, Status
from pydantic import Field

from panel.accounts import answers, policy, signed_in
from panel.http.answers import ListOf
from panel.http.inputs import Input
from panel.rights.asking import actor
from panel.rights.permissions import Permission

policy_router = Router()
sessions_router = Router()


class ChangedPolicy(Input):
    requires_mfa: bool = Field(description="Everybody has a passkey or an authenticator app, or doesn't go on.")


@policy_router.get("", response=answers.SignInPolicy, operation_id="signin_policy_get")
def show_policy(request: HttpRequest) -> answers.SignInPolicy:
    """What the installation asks of everybody's sign-in, and how one can sign in."""
    actor(request).require(Permission.USER_MANAGE)
    return policy.show(policy.policy())


@policy_router.patch("", response=answers.SignInPolicy, operation_id="signin_policy_update")
def set_policy(request: HttpRequest, payload: ChangedPolicy) -> answers.SignInPolicy:
    return policy.show(policy.set_policy(actor(request), requires_mfa=payload.requires_mfa))


@sessions_router.get("", response=ListOf[answers.Session], operation_id="sessions_list")
def sessions(request: HttpRequest) -> ListOf[answers.Session]:
    """Where one is signed in. Not for tokens with a list of permissions."""
    key = request.session.session_key if hasattr(request, "session") else None
    shown = [signed_in.show(row, key) for row in signed_in.sessions_of(actor(request))]
    return {"items": shown, "count": len(shown), "count_is_exact": True}


@sessions_router.delete("/{pk}", response={204: None}, operation_id="sessions_end")
def end_session(request: HttpRequest, pk: str) -> Status[None]:
    """Sign out there: pages, consoles and sockets of it close."""
    signed_in.sign_out(actor(request), pk)
    return Status(204, None)

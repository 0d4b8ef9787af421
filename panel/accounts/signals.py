"""Sign-ins and changes of how one signs in, for the audit record: heard from Django and allauth."""

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from django.contrib.auth import signals as auth
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest

from panel.accounts.guesses import is_known
from panel.accounts.models import User
from panel.accounts.sessions import begin
from panel.audit.services import may_note_unknown, record
from panel.http.client import client_address
from panel.rights.actor import Actor


def listen() -> None:
    auth.user_logged_in.connect(_signed_in, dispatch_uid="wadah.signed_in")
    auth.user_logged_out.connect(_signed_out, dispatch_uid="wadah.signed_out")
    auth.user_login_failed.connect(_failed, dispatch_uid="wadah.failed")
    account.password_changed.connect(_of("password.change"), weak=False)
    account.password_set.connect(_of("password.set"), weak=False)
    account.password_reset.connect(_of("password.reset"), weak=False)
    account.password_reset.connect(_proved_by_mail, dispatch_uid="wadah.proved_by_mail")
    account.email_added.connect(_of("email.add"), weak=False)
    account.email_removed.connect(_of("email.remove"), weak=False)
    mfa.authenticator_added.connect(_of("second_factor.add"), weak=False)
    mfa.authenticator_removed.connect(_of("second_factor.remove"), weak=False)
    mfa.authenticator_reset.connect(_of("second_factor.reset"), weak=False)


def _address(request: HttpRequest | None) -> str:
    return client_address(request.META) if request is not None else ""


def _note(action: str, user: User, request: HttpRequest | None, after: dict[str, str] | None = None) -> None:
    with transaction.atomic():
        record(Actor(user, address=_address(request)), action, target=user, after=after)


def _signed_in(sender: Any, request: HttpRequest, user: User, **_: Any) -> None:
    begin(request.session)
    is_known(request, user)
    _note("session.begin", user, request)


def _signed_out(sender: Any, request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        _note("session.end", user, request)


def _proved_by_mail(sender: Any, request: HttpRequest, user: User, **_: Any) -> None:
    is_known(request, user, by_mail=True)


def _failed(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Whose account was tried; allauth's rate limit keeps these few. Of a name that nobody has, nothing: it may
    be a password in the wrong field, and whoever typed it would write into the record what he likes."""
    name = str(credentials.get("username") or credentials.get("email") or "")[:254]
    known = User.objects.filter(Q(username__iexact=name) | Q(email__iexact=name)).first()
    if known is None and not may_note_unknown():
        return
    with transaction.atomic():
        who = known.username if known is not None else "?"
        record(None, "session.begin", who=who, from_where=_address(request), is_denied=True)


def _of(action: str) -> Any:
    def heard(sender: Any, request: HttpRequest, user: User, authenticator: Any = None, **_: Any) -> None:
        _note(action, user, request, {"kind": str(authenticator.type)} if authenticator is not None else None)

    return heard

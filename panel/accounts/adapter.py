"""How allauth behaves here: nobody signs himself up, unless the single sign-on may make accounts."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.providers.base.constants import AuthError
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import render
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from panel.accounts import guesses
from panel.accounts.provider_session import ProviderSession
from panel.accounts.reader import as_read_by
from panel.http.client import client_address
from panel.rights.asking import actor_of

if TYPE_CHECKING:
    from allauth.usersessions.models import UserSession


log = structlog.get_logger()

#: Mails that strangers can have sent.
_ASKED_FOR = frozenset(
    f"account/email/{name}" for name in ("password_reset_key", "unknown_account", "email_confirmation")
)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "too_many_login_attempts": _(
            "Too many wrong tries. Sign in with a passkey, in a browser where you have signed in before, or "
            "with a new password by “Forgot your password?”; or try again later."
        ),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Accounts are made by administrators and by invitation."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """As everywhere else."""
        return client_address(request.META) or "unknown"

    # guesses: counted by us, so that nobody is kept out by others ----------------------------------

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """By one of the two names that are one.

        An address that somebody has would be looked at twice otherwise, and answered later than a stranger's.
        """
        if credentials.get("username") and credentials.get("username") == credentials.get("email"):
            del credentials["email"]
        login = str(credentials.get("username") or credentials.get("email") or "")
        try:
            attempt = guesses.begin(request, "password", guesses.account_of(login))
        except guesses.TooManyGuesses:
            raise self.validation_error("too_many_login_attempts") from None
        user = super().authenticate(request, **credentials)
        if user is not None:
            attempt.right()
        return user

    # mails: addresses of the panel, whatever name the request came by -------------------------------

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """To one address only so many in an hour; what was sent before is as good. As its reader has it in his
        profile, whoever asked for it."""
        if template_prefix in _ASKED_FOR and not guesses.may_mail(email):
            log.warning("mail not sent: too many to this address")
            return
        name = urlsplit(settings.WADAH.url).netloc
        urls = {key: _at_home(value) for key, value in context.items() if key.endswith("_url")}
        site = SimpleNamespace(name=name, domain=name)
        user = context.get("user")
        read = as_read_by(user, get_language() or settings.LANGUAGE_CODE) if user else nullcontext()
        with read:
            super().send_mail(template_prefix, email, {**context, **urls, "current_site": site})


def _at_home(url: str) -> str:
    """The same page of the panel, by its own name."""
    parts = urlsplit(url)
    return f"{settings.WADAH.url.rstrip('/')}{parts.path}" + (f"?{parts.query}" if parts.query else "")


class SessionsAdapter(DefaultUserSessionsAdapter):  # type: ignore[misc]
    def end_sessions(self, sessions: Iterable[UserSession]) -> None:
        """Of allauth's page, which signs out all others: as the API does."""
        from panel.accounts.signed_in import sign_out_of  # noqa: PLC0415 - models aren't there yet at import

        actor = actor_of(context.request)
        if actor is not None:
            sign_out_of(actor, sessions)


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Any:
        from panel.accounts.single_sign_on import Provider  # noqa: PLC0415 - models aren't there yet at import

        return Provider(request, app=self.get_app(request, provider=provider, client_id=client_id))

    def get_requests_session(self) -> ProviderSession:
        return ProviderSession()

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Only with an address that the provider has verified, and where the operator allows it.

        Who isn't let in reads why.
        """
        verified = [one.email for one in sociallogin.email_addresses if one.verified]
        if verified and settings.WADAH.oidc_creates_accounts:
            return True
        context = {"verified": verified[0] if verified else "", "sso": settings.WADAH.oidc_name}
        raise ImmediateHttpResponse(render(request, "accounts/no_entry.html", context, status=403))

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: Any,
        error: Any = None,
        exception: BaseException | None = None,
        **more: Any,
    ) -> None:
        """A page with the reason, where the reason is meant for its reader."""
        from panel.accounts.single_sign_on import BadAnswer, note_refusal  # noqa: PLC0415

        if error == AuthError.CANCELLED:
            return
        note_refusal(exception)
        reason = str(exception) if isinstance(exception, BadAnswer) else ""
        context = {"reason": reason, "sso": settings.WADAH.oidc_name}
        raise ImmediateHttpResponse(render(request, "accounts/no_entry.html", context, status=403))

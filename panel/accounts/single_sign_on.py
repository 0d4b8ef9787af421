"""Single sign-on: allauth's OpenID Connect, with what the standard asks of whoever believes a provider.

Each refusal is a page that says why; `panel.accounts.claims` decides what is believed.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import requests
import structlog
from allauth.account.internal.decorators import login_not_required
from allauth.account.models import EmailAddress
from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.base import ProviderException
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from panel.accounts.claims import BadClaims, Claims, agreed, check_access_token

log = structlog.get_logger()

#: By the provider's address: until when, and what.
_DISCOVERED: dict[str, tuple[float, dict[str, Any]]] = {}
DISCOVERY_KEPT_S = 60.0
#: A provider that is away, or answers with something else than the standard says, raises these in allauth.
_ODD_ANSWERS = (
    requests.RequestException,
    OAuth2Error,
    ProviderException,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
)


class Provider(OpenIDConnectProvider):  # type: ignore[misc]  # allauth has no types
    def redirect(self, request: HttpRequest, process: Any, next_url: Any = None, **kwargs: Any) -> HttpResponse:
        """With a nonce (3.1.2.1), and nothing that a link to the sign-in page brought along."""
        nonce = secrets.token_urlsafe(24)
        kwargs["auth_params"] = {**self.get_auth_params(), "nonce": nonce}
        kwargs["scope"] = self.get_scope()
        try:
            answer: HttpResponse = super().redirect(request, process, next_url, nonce=nonce, **kwargs)
        except _ODD_ANSWERS as error:
            return refused(request, self, error)
        return answer

    def get_oauth2_adapter(self, request: HttpRequest) -> Adapter:
        return Adapter(request, self.app.provider_id)

    def extract_uid(self, data: Claims) -> str:
        return data.uid

    def extract_common_fields(self, data: Claims) -> dict[str, str]:
        username, name = (data.names.get(key, "") for key in ("preferred_username", "name"))
        return {"email": data.email, "username": username, "name": name}

    def extract_email_addresses(self, data: Claims) -> list[EmailAddress]:
        if not data.email:
            return []
        return [EmailAddress(email=data.email, verified=data.is_verified, primary=True)]

    def extract_extra_data(self, data: Claims) -> dict[str, str]:
        """What stays in the database: not all that a provider tells of a person."""
        return {"iss": data.issuer, "sub": data.subject, "email": data.email}


class Adapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    nonce = ""

    @property
    def openid_config(self) -> dict[str, Any]:
        """What the provider says of itself, asked for once in a while: each stranger who begins a sign-in would
        have it asked, until it answers nobody."""
        wanted = self.get_provider().app.settings["server_url"].partition("/.well-known/")[0]
        known: tuple[float, dict[str, Any]] | None = _DISCOVERED.get(wanted)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        config: dict[str, Any] = super().openid_config
        if str(config["issuer"]).rstrip("/") != wanted.rstrip("/"):
            raise BadAnswer(_("The provider calls itself by another address than WADAH_OIDC_URL."))
        _DISCOVERED[wanted] = time.monotonic() + DISCOVERY_KEPT_S, config
        return config

    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **kwargs: Any) -> Any:
        text = kwargs["response"].get("id_token")
        if not isinstance(text, str):
            raise BadAnswer(_("The provider sent no ID token."))
        has_more = bool(self.openid_config.get("userinfo_endpoint"))
        try:
            said = self._decode_id_token(app, text)
            check_access_token(said, text, token.token)
            claims = agreed(
                said,
                self._fetch_user_info(token.token) if has_more else None,
                client_id=app.client_id,
                nonce=self.nonce,
            )
        except BadClaims as error:
            raise BadAnswer(str(error)) from error
        return self.get_provider().sociallogin_from_response(request, claims)


class BadAnswer(ProviderException):  # type: ignore[misc]
    """Its text is for the person who wants to sign in."""


class _Callback(OAuth2CallbackView):  # type: ignore[misc]
    def _get_state(self, request: HttpRequest, provider: Any) -> Any:
        state, refusal = super()._get_state(request, provider)
        self.adapter.nonce = (state or {}).get("nonce", "")
        return state, refusal


def refused(request: HttpRequest, provider: Any, error: BaseException) -> HttpResponse:
    answer: HttpResponse = render_authentication_error(request, provider, exception=error)
    return answer


def note_refusal(error: BaseException | None) -> None:
    """For the operator: what the page doesn't say to strangers."""
    log.warning("single sign-on failed", error=type(error).__name__, text=str(error)[:300])


@login_not_required  # type: ignore[untyped-decorator]
def login(request: HttpRequest, provider_id: str) -> HttpResponse:
    return _serve(OAuth2LoginView, request, provider_id)


@login_not_required  # type: ignore[untyped-decorator]
def callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    return _serve(_Callback, request, provider_id)


def _serve(view: Any, request: HttpRequest, provider_id: str) -> HttpResponse:
    adapter = Adapter(request, provider_id)
    try:
        provider = adapter.get_provider()
    except SocialApp.DoesNotExist as error:
        raise Http404 from error
    try:
        answer: HttpResponse = view.adapter_view(adapter)(request)
    except _ODD_ANSWERS as error:
        return refused(request, provider, error)
    return answer

"""How allauth behaves here: nobody signs himself up, unless the single sign-on may make accounts."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.conf import settings
from django.http import HttpRequest

from panel.accounts.auth import client_address


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Accounts are made by administrators and by invitation."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """For rate limits: as everywhere else, what the front says; it is the only one on the socket."""
        return client_address(request.META) or "unknown"


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        """Only with an address that the provider has verified, and where the operator allows it."""
        is_verified = any(address.verified for address in sociallogin.email_addresses)
        return bool(settings.WADAH.oidc_creates_accounts and is_verified)

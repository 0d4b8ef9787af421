"""How allauth behaves here: nobody signs himself up."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest

from panel.accounts.auth import client_address


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Accounts are made by administrators and by invitation."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """For rate limits: as everywhere else, what the front says; it is the only one on the socket."""
        return client_address(request.META) or "unknown"

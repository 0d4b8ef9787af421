"""Pages as somebody sees them."""

from django.test import Client

from panel.accounts.models import User


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def listed(user: User) -> str:
    return signed_in(user).get("/environments/").content.decode()

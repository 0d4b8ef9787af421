"""A form's answer is a redirect; what it made is shown once; a refused one stands under its page's address."""

import pytest
from django.test import Client
from django.urls import reverse

from panel.access.models import Invitation
from panel.accounts.models import Token
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def test_a_token_is_shown_once_and_a_reload_makes_no_second(client: Client) -> None:
    tenant = factories.tenant()
    client.force_login(factories.member(tenant).user, _BACKEND)
    form = {"tenant": str(tenant.pk), "name": "ci", "role": "viewer", "days": "30", "networks": ""}
    answer = client.post(reverse("tokens"), form)
    assert answer.status_code == 302
    assert Token.objects.count() == 1
    page = answer.headers["Location"]
    part = client.get(page, headers={"HX-Target": "messages", "HX-Request": "true"}).content.decode()
    assert "wdh_" not in part
    assert "wdh_" in client.get(page).content.decode()
    assert "wdh_" not in client.get(page).content.decode()
    assert Token.objects.count() == 1


def test_inviting_again_says_what_it_changes(client: Client) -> None:
    tenant = factories.tenant()
    client.force_login(factories.member(tenant).user, _BACKEND)
    url = f"/tenants/{tenant.pk}/people/invite"
    first = client.post(url, {"email": "siti@example.com", "role": "operator"}, follow=True)
    assert first.redirect_chain
    again = client.post(url, {"email": "siti@example.com", "role": "viewer"}, follow=True).content.decode()
    assert "now as viewer in place of operator" in again
    assert Invitation.objects.open().get().role == "viewer"
    same = client.post(url, {"email": "siti@example.com", "role": "viewer"}, follow=True).content.decode()
    assert "the link sent before no longer works" in same


def test_a_refused_form_is_told_its_pages_address(client: Client) -> None:
    tenant = factories.tenant()
    client.force_login(factories.member(tenant).user, _BACKEND)
    people = f"/tenants/{tenant.pk}/people/"
    headers = {"Referer": f"http://testserver{people}"}
    answer = client.post(f"{people}invite", {"email": "no", "role": "viewer"}, headers=headers)
    assert answer.status_code == 422
    assert f'data-page-url="{people}"' in answer.content.decode()


def test_an_address_that_takes_forms_only_says_so(client: Client) -> None:
    tenant = factories.tenant()
    client.force_login(factories.member(tenant).user, _BACKEND)
    answer = client.get(f"/tenants/{tenant.pk}/people/invite", headers={"Accept": "text/html"})
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert "takes a form" in answer.content.decode()
    assert not client.get(f"/tenants/{tenant.pk}/people/invite").content

"""Pages that say why there is nothing to do: each says it once, and where to go on from where its reader is."""

import pytest
from django.template.loader import render_to_string
from django.test import Client

from tests.panel.support import factories

pytestmark = pytest.mark.django_db

_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


@pytest.mark.parametrize("status", [403, 404, 405])
def test_who_isnt_signed_in_reads_it_on_a_card(status: int) -> None:
    text = render_to_string(f"{status}.html")
    assert text.count("<h1>") == 1
    assert "entrance-card" in text and "To the first page" in text


def test_who_is_signed_in_reads_it_among_the_pages(client: Client) -> None:
    client.force_login(factories.member(factories.tenant()).user, _BACKEND)
    answer = client.get("/nothing/here", headers={"Accept": "text/html"})
    text = answer.content.decode()
    assert answer.status_code == 404
    assert text.count("<h1>") == 1 and "There is nothing here" in text
    assert "entrance-card" not in text and "To the environments" in text

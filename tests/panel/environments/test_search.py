"""The search of the list finds words in names, descriptions and images, in the order that was asked for."""

import pytest
from django.http import QueryDict

from panel.accounts.actor import Actor
from panel.environments import listing
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator() -> Actor:
    factories.node()
    tenant = factories.tenant()
    for name in ("web-2", "db-1", "WEB-like", "web-1"):
        factories.environment(tenant, name=name.lower())
    factories.environment(tenant, name="mail-1", description="Behind the Web front")
    return factories.administrator()


def names(actor: Actor, query: str) -> list[str]:
    return [row.name for row in listing.list_environments(actor, None, QueryDict(query)).rows]


def test_in_the_order_of_names_both_ways(administrator: Actor) -> None:
    found = ["mail-1", "web-1", "web-2", "web-like"]
    assert names(administrator, "q=web") == found
    assert names(administrator, "q=WEB&sort=-name") == found[::-1]
    assert sorted(names(administrator, "q=web&sort=-created")) == found


def test_page_by_page(administrator: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PER_PAGE", 3)
    assert names(administrator, "q=web") == ["mail-1", "web-1", "web-2"]
    assert names(administrator, "q=web&page=2") == ["web-like"]
    assert names(administrator, "q=web&page=9") == ["web-like"], "the last there is"


def test_what_is_nowhere_is_not_found(administrator: Actor) -> None:
    assert names(administrator, "q=nowhere") == []

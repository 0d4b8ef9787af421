"""The search of the list finds words in names, descriptions and images, in the order that was asked for."""

import pytest
from django.http import QueryDict

from panel.environments import listing, search
from panel.rights.actor import Actor
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["few", "few of many", "common", "common, but late"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which of the ways PostgreSQL goes; elsewhere there is one."""
    if request.param.startswith("common"):
        monkeypatch.setattr(search, "_COMMON", -1)
        monkeypatch.setattr(search, "_WINDOW", 2)
        monkeypatch.setattr(search, "_WALK", 2 if "late" in request.param else 100)
    else:
        monkeypatch.setattr(search, "_COMMON", 2)
    if request.param == "few of many":
        monkeypatch.setattr(search, "LOOK_AHEAD", 1)


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
    assert names(administrator, "q=web&sort=-name") == ["web-like", "web-2", "web-1"]
    assert names(administrator, "q=web&sort=-name&page=2") == ["mail-1"]


def test_what_is_nowhere_is_not_found(administrator: Actor) -> None:
    assert names(administrator, "q=nowhere") == []


def test_signs_stand_for_themselves(administrator: Actor) -> None:
    factories.environment(factories.tenant(), name="odd", description="100% of _it_")
    assert names(administrator, "q=100%25") == ["odd"]
    assert names(administrator, "q=_it_") == ["odd"]
    assert names(administrator, "q=%25e%25") == [], "no pattern"
    assert names(administrator, "q=front%0Abusybox") == [], "nor anything that goes from one text into the next"


def test_an_address_finds_who_has_it(administrator: Actor) -> None:
    row = factories.environment(factories.tenant(), name="addressed")
    address = row.addresses.get(family=4).address
    assert names(administrator, f"q={address}") == ["addressed"]


def test_with_filters_and_for_one_tenant(administrator: Actor) -> None:
    tenant = factories.tenant()
    factories.environment(tenant, name="web-9", is_running=False)
    assert names(administrator, "q=web&state=provisioning") == ["web-9"]
    assert names(administrator, "q=web&state=failed") == []
    assert names(factories.member(tenant), "q=web") == ["web-9"]


def test_how_many_there_are_is_said_as_far_as_counted(
    administrator: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "PER_PAGE", 2)
    rows = listing.list_environments(administrator, None, QueryDict("q=web")).rows
    assert rows.paginator.count == 4 or rows.paginator.is_bounded
    assert [row.name for row in rows] == ["mail-1", "web-1"]
    assert rows.has_next()

"""One action for many: those that are ticked, or all that the filter finds, within a bound and by right."""

from typing import Any

import pytest
from django.test import Client

from panel.accounts.models import User
from panel.environments import listing
from panel.environments.models import Environment, EnvironmentTag
from panel.environments.views import listing as view
from panel.tenants.models import Tenant
from tests.panel.support import factories
from tests.panel.support.pages import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant(monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """With five of one tenant and a page for two."""
    factories.node()
    monkeypatch.setattr(listing, "PER_PAGE", 2)
    made = factories.tenant()
    for number in range(4):
        factories.environment(made, name=f"web-{number}")
    factories.environment(made, name="db-0")
    return made


@pytest.fixture
def owner(tenant: Tenant) -> User:
    return factories.member(tenant).user


def tagged(user: User, **asked: Any) -> str:
    """The page after all that match got a word."""
    values = {"action": "tag", "tags": "chosen", "all": "1", **asked}
    return signed_in(user).post("/environments/bulk", values, follow=True).content.decode()


def having() -> list[str]:
    rows = EnvironmentTag.objects.filter(name="chosen")
    return sorted(rows.values_list("environment__name", flat=True))


def test_the_page_offers_all_that_match_and_says_how_many(owner: User) -> None:
    page = signed_in(owner).get("/environments/?q=web").content.decode()
    assert "Choose all 4 that match" in page
    assert '<input type="hidden" name="query" value="q=web">' in page
    assert "that match" not in signed_in(owner).get("/environments/?q=db").content.decode(), "all are shown"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=web", ["web-0", "web-1", "web-2", "web-3"]),
        ("q=WEB&sort=-name&page=2", ["web-0", "web-1", "web-2", "web-3"]),
        ("", ["db-0", "web-0", "web-1", "web-2", "web-3"]),
        ("state=stopped", []),
        ("state=no-such-state", []),
        ("tag=nothing", []),
    ],
)
def test_all_that_the_filter_finds_are_changed_and_no_other(owner: User, query: str, found: list[str]) -> None:
    page = tagged(owner, query=query)
    assert having() == found
    assert (f"Asked for of {len(found)}" in page) is bool(found)
    assert ("None is chosen." in page) is not bool(found)


def test_nothing_of_another_tenant_is_reached(owner: User) -> None:
    other = factories.tenant()
    factories.environment(other, name="web-of-others")
    tagged(owner, query="q=web")
    assert "web-of-others" not in having()
    assert signed_in(owner).post("/environments/bulk", {
        "action": "tag", "tags": "chosen", "all": "1", "tenant": other.slug,
    }).status_code == 404  # fmt: skip


def test_the_tenant_that_the_page_shows_is_meant(owner: User, tenant: Tenant) -> None:
    """Not one that another window chose since."""
    other = factories.tenant()
    factories.environment(other, name="web-elsewhere")
    root = factories.administrator().user
    tagged(root, query="q=web", tenant=tenant.slug)
    assert having() == ["web-0", "web-1", "web-2", "web-3"]


def test_who_may_not_is_refused_by_name_and_nothing_is_changed(tenant: Tenant) -> None:
    page = tagged(factories.member(tenant, "viewer").user, query="q=web")
    assert having() == []
    assert "Refused for 4 (web-0, web-1, web-2, web-3)" in page


def test_as_many_as_the_bound_allows_in_the_order_of_the_list(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (listing, view):
        monkeypatch.setattr(module, "MOST_CHOSEN", 3)
    page = signed_in(owner).get("/environments/?sort=-name").content.decode()
    assert "Choose the first 3 that match" in page
    tagged(owner, query="sort=-name")
    assert having() == ["web-1", "web-2", "web-3"]
    ids = [str(pk) for pk in Environment.objects.values_list("pk", flat=True)]
    answer = signed_in(owner).post("/environments/bulk", {"action": "stop", "id": ids}, follow=True)
    assert "At most 3 are changed at once." in answer.content.decode(), "none is left out without a word"


def test_deleting_all_that_match_wants_their_number(owner: User) -> None:
    asked = {"action": "delete", "all": "1", "query": "q=web"}
    page = signed_in(owner).post("/environments/bulk", {**asked, "typed": "2"}, follow=True).content.decode()
    assert "Nothing was deleted" in page
    assert "It is 4." in page
    assert not Environment.objects.filter(desired_state="deleted").exists()
    signed_in(owner).post("/environments/bulk", {**asked, "typed": "4"})
    gone = Environment.objects.filter(desired_state="deleted")
    assert sorted(gone.values_list("name", flat=True)) == ["web-0", "web-1", "web-2", "web-3"]


def test_none_chosen_says_so(owner: User) -> None:
    answer = signed_in(owner).post("/environments/bulk", {"action": "stop"}, follow=True)
    assert "None is chosen." in answer.content.decode()


def test_a_stranger_is_led_to_the_sign_in(client: Client, tenant: Tenant) -> None:
    assert client.post("/environments/bulk", {"action": "tag", "tags": "chosen", "all": "1"}).status_code == 302
    assert having() == []

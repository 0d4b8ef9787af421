"""Query parameters: unknown ones are refused by name, each counts once, several tags count together."""

import pytest
from django.test import Client
from django.utils import timezone

from panel.audit.selectors import records
from panel.environments import services as environments
from panel.errors import Invalid
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    factories.node()
    return factories.tenant()


@pytest.fixture
def client(tenant: Tenant) -> Client:
    return Client(headers=factories.bearer(factories.member(tenant), tenant, role="administrator"))


def _names(client: Client, query: str) -> list[str]:
    answer = client.get(f"/api/v1/environments?{query}")
    assert answer.status_code == 200, answer.content
    return [one["name"] for one in answer.json()["items"]]


@pytest.mark.parametrize(
    "name", ["tennant", "status", "q", "tenant_slug", "label", "id", "page", "Tenant", "tag[]"]
)
def test_an_unknown_parameter_gives_nothing_but_its_name(name: str, client: Client) -> None:
    for path in ("environments", "addresses", "tenants", "operations", "images", "plans", "tokens", "ssh-keys"):
        answer = client.get(f"/api/v1/{path}", query_params={name: "x"})
        assert answer.status_code == 422, f"{path}: {answer.content[:100]!r}"
        assert answer.json()["field"] == name
        assert name in answer.json()["detail"]


def test_every_unknown_parameter_is_named(client: Client) -> None:
    answer = client.get("/api/v1/environments?tennant=a&state=running&stat=b&limit=1&limit=2").json()
    assert [one["field"] for one in answer["errors"]] == ["tennant", "stat", "limit"]
    assert "tenant" in answer["detail"]


def test_a_change_with_an_unknown_parameter_changes_nothing(client: Client, tenant: Tenant) -> None:
    row = factories.environment(tenant)
    assert client.delete(f"/api/v1/environments/{row.pk}?dry_run=1").status_code == 422
    row.refresh_from_db()
    assert row.desired_state == "running"


@pytest.mark.parametrize("state", ["nope", "Running", "failed,running", " "])
def test_an_unknown_state_is_refused_everywhere(state: str, client: Client) -> None:
    for path in ("environments", "operations"):
        answer = client.get(f"/api/v1/{path}", query_params={"state": state})
        assert answer.status_code == 422
        assert answer.json()["field"] == "state"


@pytest.mark.parametrize(
    "query", ["tenant=", "environments?tenant", "tag=", "tag=a&tag=", "name=&state=running", "search=", "sort="]
)
def test_a_filter_whose_value_was_lost_gives_nothing_but_its_name(
    query: str, client: Client, tenant: Tenant
) -> None:
    factories.environment(tenant)
    answer = client.get(f"/api/v1/environments?{query.removeprefix('environments?')}")
    assert answer.status_code == 422
    assert answer.json()["field"] == query.removeprefix("environments?").partition("=")[0]
    assert "leave it out" in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["audit?tenant=", "audit?since=", "audit/export?tenant=", "operations?environment="]
)
def test_so_does_every_list(path: str, client: Client) -> None:
    assert client.get(f"/api/v1/{path}").status_code == 422


def test_a_tenant_without_a_name_is_not_none_at_all(client: Client, tenant: Tenant) -> None:
    """A token made so would have been one of the whole person, a plan one of the whole installation."""
    administrator = Client()
    administrator.force_login(
        factories.administrator().user, "allauth.account.auth_backends.AuthenticationBackend"
    )
    limits = {"cpu": 1, "memory_mb": 64, "disk_mb": 128}
    for path, field, body in (
        ("tokens", "tenant", {"name": "t", "role": "viewer"}),
        ("plans", "tenant", {"name": "Small", "limits": limits}),
        ("environments", "tenant", {"name": "e", "image": "busybox", "limits": limits}),
        ("tenants", "parent", {"name": "Below"}),
    ):
        for who in (client, administrator):
            answer = who.post(f"/api/v1/{path}", {**body, field: ""}, content_type="application/json")
            assert answer.status_code == 422, f"{path}: {answer.content!r}"
            assert answer.json()["field"] == field


def test_all_tags_count(client: Client, tenant: Tenant) -> None:
    owner = factories.member(tenant)
    for name, tags in (("one", ["a"]), ("two", ["b"]), ("both", ["a", "b"])):
        row = factories.environment(tenant, owner, name=name)
        environments.update_environment(owner, row.pk, {"tags": tags})
    assert _names(client, "tag=a") == ["both", "one"]
    assert _names(client, "tag=a&tag=b") == ["both"]
    assert _names(client, "tag=a&tag=c") == []
    assert _names(client, "") == ["both", "one", "two"]


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4, 500, 10_000_000])
@pytest.mark.parametrize("limit", [1, 2, 500])
def test_the_count_is_of_all_wherever_one_looks(
    limit: int, offset: int, client: Client, tenant: Tenant
) -> None:
    for number in range(3):
        factories.environment(tenant, name=f"e{number}")
    answer = client.get(f"/api/v1/environments?limit={limit}&offset={offset}").json()
    assert answer["count"] == 3
    assert answer["count_is_exact"]
    assert len(answer["items"]) == max(0, min(limit, 3 - offset))


def test_a_page_with_an_unknown_state_shows_nothing(tenant: Tenant) -> None:
    factories.environment(tenant, name="there")
    client = Client()
    client.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    assert b"there" in client.get("/environments/").content
    assert b"there" in client.get("/environments/?utm_source=mail").content
    assert b">there<" not in client.get("/environments/?state=nope").content


@pytest.mark.parametrize("since", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00%2B23:59", "0001-01-01"])
def test_a_moment_that_other_zones_have_no_year_for_is_refused(
    since: str, client: Client, tenant: Tenant
) -> None:
    row = factories.environment(tenant)
    answer = client.get(f"/api/v1/environments/{row.pk}/points?since={since}")
    assert (answer.status_code, answer.json()["field"]) == (422, "since")


@pytest.mark.parametrize(
    ("zone", "query"), [("Asia/Jakarta", "since=0001-01-01"), ("America/Lima", "until=9999-12-31")]
)
def test_so_is_a_day_that_this_zone_has_no_moment_for(zone: str, query: str, tenant: Tenant) -> None:
    name, _, day = query.partition("=")
    with timezone.override(zone), pytest.raises(Invalid) as refused:
        list(records(factories.administrator(), {name: day}, tenant))
    assert refused.value.field == name

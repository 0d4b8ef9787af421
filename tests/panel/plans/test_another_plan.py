"""Another plan for one environment: asked what it would change, then given; and leaving a plan is told."""

from typing import Any

import pytest
from django.test import Client

from panel.environments import services
from panel.environments.models import Environment
from panel.errors import Forbidden
from panel.operations.models import Operation
from panel.plans.services import create_plan, update_plan
from panel.quotas.models import Quota
from panel.rights.actor import Actor
from panel.tenancy.services import update_tenant
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
LARGER = {**factories.LIMITS, "memory_mb": 128}


@pytest.fixture
def tenant() -> Tenant:
    factories.node()
    root = factories.administrator()
    create_plan(root, name="Small", limits=factories.LIMITS)
    create_plan(root, name="Medium", limits=LARGER, allowances={"forwards": 2})
    create_plan(root, name="Huge", limits={**factories.LIMITS, "memory_mb": 4096})
    create_plan(root, name="Debian only", limits=LARGER, choices={"images": ["debian-12"]})
    return factories.tenant(quota={"memory_mb": 1000})


@pytest.fixture
def row(tenant: Tenant) -> Environment:
    return factories.environment(tenant, plan="small", limits=None)


def preview(row: Environment, actor: Actor | None = None, **changes: Any) -> dict[str, Any]:
    return services.preview_change(actor or factories.administrator(), row.pk, changes).show()


def state_of(row: Environment) -> Any:
    fields = ("plan_version_id", "follows_plan", "intent", "version", "generation", "name")
    quotas = list(Quota.objects.order_by("pk").values_list("reserved", "hits"))
    return Environment.objects.values(*fields).get(pk=row.pk), quotas, Operation.objects.count()


def test_a_preview_tells_each_value_and_changes_nothing(row: Environment) -> None:
    before = state_of(row)
    told = preview(row, plan="medium")
    assert told["fits"] is True
    assert told["changes"]["limits.memory_mb"] == [64, 128]
    assert told["changes"]["plan"] == ["small", "medium"]
    assert told["changes"]["allowances.forwards"] == [None, 2]
    assert "limits.disk_mb" not in told["changes"]
    assert told["at_next_start"] == ["/dev/shm"]
    assert told["restarts"] is False
    assert told["left_plan"] is None, "it goes from one plan to another"
    assert told["quota_left"]["memory_mb"] == 1000 - 128
    assert state_of(row) == before


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"plan": "huge"}, "quota_exceeded", "Not enough memory"),
        ({"plan": "debian-only"}, "not_in_plan", "allows the image debian-12"),
        ({"plan": "nothing"}, "unknown_plan", "There is no plan nothing"),
        ({"limits": {"memory_mb": 1}}, "invalid", "memory_mb"),
    ],
)
def test_what_cannot_be_given_is_refused_by_name_and_as_the_change_would_be(
    row: Environment, changes: dict[str, Any], code: str, says: str
) -> None:
    before = state_of(row)
    told = preview(row, **changes)
    assert told["fits"] is False
    assert told["code"] == code
    assert says in told["why"]
    assert told["changes"] == {}
    assert told["quota_left"]["memory_mb"] == 1000 - 64
    assert state_of(row) == before


def test_a_size_of_its_own_says_that_it_leaves_the_plan(row: Environment) -> None:
    assert preview(row, limits={"memory_mb": 96})["left_plan"] == "small"
    changed = services.update_environment(factories.administrator(), row.pk, {"limits": {"memory_mb": 96}})
    assert changed.left_plan == "small"
    assert changed.operation is not None
    assert changed.operation.details["left_plan"] == "small"
    again = services.update_environment(factories.administrator(), row.pk, {"limits": {"memory_mb": 97}})
    assert again.left_plan == "", "it had left before"
    back = services.update_environment(factories.administrator(), row.pk, {"plan": "small"})
    assert back.environment.follows_plan


def test_who_may_not_resize_may_not_ask(row: Environment, tenant: Tenant) -> None:
    with pytest.raises(Forbidden):
        preview(row, factories.member(tenant, "viewer"), plan="medium")


def as_member(client: Client, tenant: Tenant, role: str = "owner") -> None:
    client.force_login(factories.member(tenant, role).user, _BACKEND)


def text_of(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode().replace("&#x27;", "'")


def test_the_page_shows_what_changes_and_changes_it(client: Client, row: Environment, tenant: Tenant) -> None:
    as_member(client, tenant)
    url = f"/environments/{row.pk}/settings"
    page = text_of(client, f"{url}?plan=medium")
    assert "Small → Medium" in page
    assert "64 MiB</td>" in page
    assert "128 MiB</td>" in page
    assert "At its next start: /dev/shm." in page
    assert "Memory 872 MiB" in page
    assert "With a size of its own it leaves the plan." in page
    answer = client.post(f"{url}/plan", {"plan": "medium"})
    assert answer.status_code == 302
    row.refresh_from_db()
    assert row.limits["memory_mb"] == 128
    assert row.plan_version is not None
    assert row.plan_version.plan.slug == "medium"


def test_the_page_says_why_a_plan_does_not_fit(client: Client, row: Environment, tenant: Tenant) -> None:
    as_member(client, tenant)
    url = f"/environments/{row.pk}/settings"
    page = text_of(client, f"{url}?plan=huge")
    assert "Huge can't be given to it." in page
    assert "Change to Huge" not in page
    refused = client.post(f"{url}/plan", {"plan": "huge"})
    assert refused.status_code == 409
    assert "Not enough memory" in refused.content.decode()


def test_the_toast_says_that_the_plan_is_left(client: Client, row: Environment, tenant: Tenant) -> None:
    as_member(client, tenant)
    url = f"/environments/{row.pk}/settings"
    page = client.post(f"{url}/resize", {"memory_mb": 96}, follow=True).content.decode()
    assert "It follows the plan Small no more." in page
    assert "doesn't follow it" in page


def test_plans_of_other_tenants_are_not_offered(client: Client, row: Environment, tenant: Tenant) -> None:
    create_plan(factories.administrator(), name="Foreign", limits=LARGER, tenant=factories.tenant())
    as_member(client, tenant)
    assert "Foreign" not in text_of(client, f"/environments/{row.pk}/settings?plan=foreign")


def test_a_viewer_sees_the_plan_and_no_form(client: Client, row: Environment, tenant: Tenant) -> None:
    as_member(client, tenant, "viewer")
    page = text_of(client, f"/environments/{row.pk}/settings?plan=medium")
    assert "It follows the plan Small." in page
    assert "ask an owner of the tenant" in page
    assert "See what it changes" not in page
    assert f"/environments/{row.pk}/settings/resize" not in page


def test_where_plans_must_be_used_there_is_no_size_to_choose(
    client: Client, row: Environment, tenant: Tenant
) -> None:
    update_tenant(factories.administrator(), tenant.pk, must_use_plans=True)
    as_member(client, tenant)
    page = text_of(client, f"/environments/{row.pk}/settings")
    assert "This tenant's environments have the size of a plan." in page
    assert f"/environments/{row.pk}/settings/resize" not in page


def test_its_own_plan_is_offered_again_where_it_has_a_newer_version(
    client: Client, row: Environment, tenant: Tenant
) -> None:
    services.update_environment(factories.administrator(), row.pk, {"follows_plan": False})
    plan = row.plan_version
    assert plan is not None
    update_plan(factories.administrator(), plan.plan_id, {"limits": {"memory_mb": 80}})
    told = preview(row, plan="small")
    assert told["changes"]["plan_version"] == [1, 2]
    assert told["changes"]["follows_plan"] == [False, True]
    as_member(client, tenant)
    assert "Change to Small" in text_of(client, f"/environments/{row.pk}/settings?plan=small")

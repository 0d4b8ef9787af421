"""Changing a plan: who is told so beforehand, who gets it live, who keeps his version."""

from typing import Any

import pytest
from django.test import Client

from panel.environments import services as environments
from panel.environments.models import Environment
from panel.errors import Invalid
from panel.offers.preview import preview_update
from panel.offers.rolling import roll
from panel.operations.models import Operation
from panel.plans.models import Plan
from panel.plans.services import create_plan, update_plan
from panel.quotas.models import Quota, Resource
from panel.tenancy.services import update_tenant
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def plan(**terms: Any) -> Plan:
    values = {"limits": factories.LIMITS, **terms}
    return create_plan(factories.administrator(), name=f"Small {Plan.objects.count()}", **values)


def bought(of: Tenant, what: Plan, **fields: Any) -> Environment:
    return factories.environment(of, plan=what.slug, limits=fields.pop("limits", None), **fields)


def memory(row: Environment) -> int:
    row.refresh_from_db()
    return int(row.limits["memory_mb"])


def test_followers_get_a_new_version_live_and_the_others_keep_theirs() -> None:
    factories.node()
    tenant, small = factories.tenant(), plan()
    follows = bought(tenant, small)
    own_size = bought(tenant, small, limits={"memory_mb": 80})
    stays = bought(tenant, small)
    environments.update_environment(factories.administrator(), stays.pk, {"follows_plan": False})
    assert (follows.follows_plan, own_size.follows_plan) == (True, False)
    generation = follows.generation

    update_plan(factories.administrator(), small.pk, {"limits": {"memory_mb": 96}})
    assert roll() == 1
    assert (memory(follows), memory(own_size), memory(stays)) == (96, 80, 64)
    assert follows.generation == generation + 1, "the node is told"
    assert Operation.objects.get(pk=follows.operation_id).details == {"plan": small.slug, "version": 2}
    assert Quota.objects.get(tenant=tenant, resource=Resource.MEMORY_MB).reserved == 96 + 80 + 64
    assert roll() == 0


def test_the_preview_says_what_the_change_then_does() -> None:
    factories.node()
    small = plan()
    tight, roomy = factories.tenant(quota={"memory_mb": 200}), factories.tenant()
    for _ in range(2):
        bought(tight, small)
    bought(roomy, small)
    environments.update_environment(factories.administrator(), bought(roomy, small).pk, {"follows_plan": False})
    changes = {"limits": {"memory_mb": 128}}
    told = preview_update(factories.administrator(), small.pk, changes)
    assert told["changes"] == {"limits.memory_mb": [64, 128]}
    assert {key: told[key] for key in ("version", "following", "fitting", "staying")} == {
        "version": 2, "following": 3, "fitting": 2, "staying": 1,
    }  # fmt: skip
    refused = [one for one in told["environments"] if not one["fits"]]
    assert [one["tenant_name"] for one in refused] == [tight.name]
    assert "64 more memory (MiB) asked for, and 8 left of the quota" in refused[0]["why"]
    assert Plan.objects.get(pk=small.pk).versions.count() == 1, "nothing was changed"

    update_plan(factories.administrator(), small.pk, changes)
    assert roll() == told["fitting"]
    behind = Environment.objects.get(follows_plan=True, plan_version__number=1)
    assert behind.tenant == tight and "Not enough memory" in behind.plan_problem
    assert Quota.objects.get(tenant=tight, resource=Resource.MEMORY_MB).hits == 0, "nobody asked for it"


def test_one_that_did_not_fit_gets_it_when_the_quota_is_raised() -> None:
    factories.node()
    tenant, small = factories.tenant(quota={"memory_mb": 100}), plan()
    row = bought(tenant, small)
    update_plan(factories.administrator(), small.pk, {"limits": {"memory_mb": 128}})
    assert roll() == 0 and roll() == 0
    update_tenant(factories.administrator(), tenant.pk, quota={"memory_mb": 128})
    environments.update_environment(factories.administrator(), row.pk, {"follows_plan": True})
    row.refresh_from_db()
    assert memory(row) == 128 and row.plan_problem == ""


def test_one_whose_node_refuses_goes_back_and_is_not_tried_again_at_once() -> None:
    factories.node()
    small = plan()
    row = bought(factories.tenant(), small)
    update_plan(factories.administrator(), small.pk, {"limits": {"disk_mb": 64}})
    assert roll() == 1
    row.refresh_from_db()
    factories.reported(
        row,
        generation=row.generation - 1,
        attempted_generation=row.generation,
        code="below_used",
        message="disk: 64 MiB is below the 100 MiB in use",
    )
    row.refresh_from_db()
    assert row.limits["disk_mb"] == 128 and row.plan_version is not None and row.plan_version.number == 1
    assert row.plan_problem == "disk: 64 MiB is below the 100 MiB in use"
    factories.reported(row)
    assert roll() == 0


def test_a_change_that_changes_nothing_makes_no_version() -> None:
    small = plan()
    update_plan(factories.administrator(), small.pk, {"limits": dict(factories.LIMITS), "description": "new"})
    assert small.versions.count() == 1
    told = preview_update(factories.administrator(), small.pk, {"description": "newer"})
    assert told["changes"] == {}


def test_following_takes_no_size_of_its_own() -> None:
    factories.node()
    row = bought(factories.tenant(), plan())
    with pytest.raises(Invalid, match="give no limits"):
        environments.update_environment(
            factories.administrator(), row.pk, {"follows_plan": True, "limits": {"memory_mb": 70}}
        )
    environments.update_environment(factories.administrator(), row.pk, {"limits": {"memory_mb": 70}})
    row.refresh_from_db()
    assert not row.follows_plan


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"limits": {**factories.LIMITS, "inodes": 5}}, "limits.inodes"),
        ({"limits": {**factories.LIMITS, "memory_mb": 1}}, "limits.memory_mb"),
        ({"allowances": {"traffic_gb": 0}}, "allowances.traffic_gb"),
        ({"allowances": {"traffic_action": "explode"}}, "allowances.traffic_action"),
        ({"allowances": {"gifts": 1}}, "allowances.gifts"),
        ({"choices": {"kinds": ["vm"]}}, "choices.kinds.0"),
        ({"choices": {"images": []}}, "choices.images"),
    ],
)
def test_bad_terms_are_refused_by_name(terms: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        plan(**terms)
    assert refused.value.field == field
    assert not Plan.objects.exists()


@pytest.mark.parametrize("position", [-1, 10_001, 2**40])
def test_a_position_out_of_range_is_refused_and_nothing_is_changed(position: int) -> None:
    small = plan(position=3)
    with pytest.raises(Invalid) as refused:
        update_plan(factories.administrator(), small.pk, {"name": "Other", "position": position})
    assert refused.value.field == "position"
    with pytest.raises(Invalid):
        plan(position=position)
    small.refresh_from_db()
    assert (small.position, small.name) == (3, "Small 0")
    assert Plan.objects.count() == 1


def test_each_version_says_who_has_it_by_page_and_api() -> None:
    factories.node()
    administrator, tenant = factories.administrator(), factories.tenant()
    plan = create_plan(administrator, name="Counted", limits=factories.LIMITS)
    kept = factories.environment(tenant, plan="counted", limits=None)
    environments.update_environment(administrator, kept.pk, {"follows_plan": False})
    gone = factories.environment(tenant, plan="counted", limits=None)
    environments.delete_environment(administrator, gone.pk)
    factories.gone(gone)
    for memory in (72, 80):
        update_plan(administrator, plan.pk, {"limits": {"memory_mb": memory}})
    factories.environment(tenant, plan="counted", limits=None)
    client = Client(headers=factories.bearer(administrator, None, "*"))
    seen = client.get(f"/api/v1/plans/{plan.pk}").json()["versions"]
    assert [(one["number"], one["environments"], one["following"]) for one in seen] == [
        (3, 1, 1),
        (2, 0, 0),
        (1, 1, 0),
    ]
    assert seen[0]["limits"]["memory_mb"] == 80
    owner = Client(headers=factories.bearer(factories.member(tenant), tenant, role="owner"))
    assert "versions" not in owner.get(f"/api/v1/plans/{plan.pk}").json(), "how many others have it is not his"
    page = Client()
    page.force_login(administrator.user, "allauth.account.auth_backends.AuthenticationBackend")
    text = page.get(f"/plans/{plan.pk}/").content.decode()
    assert all(f'<td class="first">v{number}</td>' in text for number in (1, 2, 3))

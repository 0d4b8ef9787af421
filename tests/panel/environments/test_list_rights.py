"""The list and an environment's page offer what their reader may do to that environment, and nothing else."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from panel.access.models import Share
from panel.environments.models import Environment
from panel.frame import outages
from tests.panel.support import factories
from tests.panel.support.pages import listed, signed_in

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("role", "power", "delete", "console"),
    [
        ("viewer", False, False, False),
        ("operator", True, False, True),
        ("administrator", True, True, True),
    ],
)
def test_a_role_sees_only_the_buttons_that_work_for_it(
    role: str, power: bool, delete: bool, console: bool
) -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant)
    page = listed(factories.member(tenant, role).user)
    assert row.name in page
    assert (f'form="power" formaction="/environments/{row.pk}/power"' in page) is power
    assert ('<form id="power" method="post"' in page) is power
    assert ('value="restart" data-confirm' in page) is power
    assert ('name="action" value="delete"' in page) is delete
    assert (f"/environments/{row.pk}/console" in page) is console
    assert ("data-row" in page) is (power or delete)


def test_a_share_gives_buttons_in_its_own_row_alone() -> None:
    factories.node()
    tenant = factories.tenant()
    shared, other = factories.environment(tenant), factories.environment(tenant)
    viewer = factories.member(tenant, "viewer").user
    Share.objects.create(
        tenant=tenant,
        environment=shared,
        user=viewer,
        permissions=["environment.view", "environment.power"],
        expires_at=timezone.now() + timedelta(hours=1),
    )
    page = listed(viewer)
    assert f'formaction="/environments/{shared.pk}/power"' in page
    assert f'formaction="/environments/{other.pk}/power"' not in page
    assert f'name="id" value="{shared.pk}" data-row' in page
    assert f'name="id" value="{other.pk}"' not in page


def test_more_rows_cost_no_more_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "GOOD_FOR_S", 60)  # what is asked anew every two seconds isn't asked for a row
    factories.node()
    tenant = factories.tenant()
    user = factories.member(tenant, "operator").user
    client = signed_in(user)

    def queries() -> list[str]:
        with CaptureQueriesContext(connection) as seen:
            assert client.get("/environments/").status_code == 200
        return [one["sql"][:300] for one in seen.captured_queries]

    factories.environment(tenant)
    queries()
    few = queries()
    for _ in range(4):
        factories.environment(tenant)
    many = queries()
    assert len(many) == len(few), set(many) ^ set(few)


def test_who_may_change_nothing_reads_the_values_and_who_may() -> None:
    factories.node()
    tenant = factories.tenant()
    row: Environment = factories.environment(tenant)
    row.description = "Front of the shop"
    row.ssh_keys = ["ssh-ed25519 AAAA ani"]
    row.save()
    operator = signed_in(factories.member(tenant, "operator").user)
    page = operator.get(f"/environments/{row.pk}/settings").content.decode()
    assert f'action="/environments/{row.pk}/settings/general"' in page
    assert f'action="/environments/{row.pk}/delete"' not in page
    assert f"/environments/{row.pk}/settings#danger" not in page
    viewer = signed_in(factories.member(tenant, "viewer").user)
    for tab, texts in (
        ("settings", ["Front of the shop", "ssh-ed25519 AAAA ani", "always", "Delete protection"]),
        ("network", ["Name servers"]),
    ):
        page = viewer.get(f"/environments/{row.pk}/{tab}").content.decode()
        assert f'action="/environments/{row.pk}/' not in page
        assert "Your role may not change this: ask an owner of the tenant." in page
        assert not [one for one in texts if one.lower() not in page.lower()]


def test_the_address_of_a_refused_form_leads_to_its_page() -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant)
    client = signed_in(factories.member(tenant).user)
    for tab, part in (("settings", "general"), ("network", "forward")):
        answer = client.get(f"/environments/{row.pk}/{tab}/{part}")
        assert (answer.status_code, answer.headers["Location"]) == (
            302,
            f"/environments/{row.pk}/{tab}#{part}",
        )
    assert client.get(f"/environments/{row.pk}/settings/forward").status_code == 404

"""The create page asks for options by the table: one that is added is there, and in the settings, by itself."""

import html
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django import forms
from django.test import Client

from panel.environments.models import Environment
from panel.environments.option_parts import Asked, When
from panel.environments.options import OPTIONS, fields_of
from panel.tenants.models import Tenant
from runtime.contract import Kind, RestartMode
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
PAGE = "/environments/create"


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.APP))
    return factories.tenant()


@pytest.fixture
def browser(tenant: Tenant) -> Iterator[Client]:
    client = Client()
    owner = factories.member(tenant)
    client.force_login(owner.user, "allauth.account.auth_backends.AuthenticationBackend")
    yield client


def values(tenant: Tenant, **more: Any) -> dict[str, Any]:
    known = {"name": "web", "tenant": tenant.slug, "kind": "system", "kernel": "shared", "image": "busybox"}
    return {**known, "plan": "", **factories.LIMITS, "restart.mode": "always", **more}


def test_one_that_is_added_to_the_table_is_on_both_pages(
    browser: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = Asked(lambda: forms.FloatField(label="The longest wait", help_text="Of seconds.", max_value=9))
    restart = replace(OPTIONS["restart"], fields={**OPTIONS["restart"].fields, "restart.max_delay_s": added})
    monkeypatch.setitem(OPTIONS, "restart", restart)
    row = factories.environment(tenant)
    for path in (PAGE, f"/environments/{row.pk}/settings"):
        page = browser.get(path).content.decode()
        assert all(one in page for one in ("The longest wait", "Of seconds.", 'max="9"')), path
    refused = browser.post(PAGE, values(tenant, **{"restart.max_delay_s": "10"}))
    assert refused.status_code == 422
    assert '<details class="panel" open' in refused.content.decode(), "what was refused can be seen"
    assert browser.post(PAGE, values(tenant, **{"restart.max_delay_s": "7"})).status_code == 302
    assert Environment.objects.get(name="web").wanted.restart.max_delay_s == 7


def test_what_is_asked_for_is_in_the_document(browser: Client, tenant: Tenant) -> None:
    asked = {"restart.mode": "never", "stop_timeout_s": "5", "protected": "on"}
    assert browser.post(PAGE, values(tenant, **asked)).status_code == 302
    wanted = Environment.objects.get().wanted
    assert (wanted.restart.mode, wanted.stop_timeout_s, wanted.protected) == (RestartMode.NEVER, 5, True)


def test_of_an_option_the_service_has_the_last_word(browser: Client, tenant: Tenant) -> None:
    page = browser.post(PAGE, values(tenant, stop_timeout_s="601")).content.decode()
    assert 'aria-invalid="true"' in page
    assert "601" in page


@pytest.mark.parametrize("kind", [Kind.SYSTEM, Kind.APP])
def test_each_kind_is_asked_what_it_has(browser: Client, tenant: Tenant, kind: Kind) -> None:
    page = html.unescape(browser.get(f"{PAGE}?kind={kind}").content.decode())
    every = {place: one for option in OPTIONS.values() for place, one in option.fields.items()}
    there = {place for place in every if f'name="{place}"' in page}
    assert there == set(fields_of(kind, is_new=True))
    row = factories.environment(tenant, kind=kind, image="busybox")
    settings = browser.get(f"/environments/{row.pk}/settings").content.decode()
    there = {place for place in every if f'name="{place}"' in settings}
    later = {p for p, one in every.items() if kind in one.kinds and one.when is not When.NEW}
    of_provider = {p for p in later if p == "cpu_pool" or p.startswith("security.")}
    assert there == later - of_provider, "these are the provider's"


def test_a_field_leads_to_an_option_of_the_document() -> None:
    for name, option in OPTIONS.items():
        assert all(place.split(".")[0] == name for place in option.fields), name

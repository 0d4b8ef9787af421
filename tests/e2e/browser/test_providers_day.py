"""A provider's day: a plan, a tenant, an invitation, the quota hit and raised, suspended and resumed."""

import re
import uuid

from playwright.sync_api import Page, expect

from tests.e2e.browser.conftest import Opens, visit
from tests.e2e.browser.eyes import shoot
from tests.e2e.support import Installation

_ENVIRONMENT = re.compile(r"/environments/[0-9a-f-]{36}/$")
_TENANT = re.compile(r"/tenants/[0-9a-f-]{36}/$")


def test_a_providers_day(opens: Opens, wadah: Installation) -> None:
    word = uuid.uuid4().hex[:6]
    provider = opens()
    _make_a_plan(provider, f"Day {word}")
    tenant = _make_a_tenant(provider, f"Warung {word}")
    customer = _invited(opens, provider, tenant, word)
    made: list[str] = []
    try:
        made.append(_create(customer, f"first-{word}", f"day-{word}"))
        expect(customer.locator("#ve-head")).to_contain_text("running")

        visit(customer, "/environments/create")
        expect(customer.locator("#main")).to_contain_text("The quota has no environment left.")
        expect(customer.locator(f"input[name=plan][value=day-{word}]")).to_be_disabled()
        shoot(customer, "provider-day-quota-full", full=False)

        _raise_the_quota(provider, tenant)
        made.append(_create(customer, f"second-{word}", f"day-{word}"))
        expect(customer.locator("#ve-head")).to_contain_text("running")

        _suspend(provider, tenant)
        for environment in made:
            wadah.wait_state(environment, "suspended", seconds=60)
        customer.goto("/environments/")
        expect(customer.locator("#main")).to_contain_text("The invoice of May is open.")
        refused = wadah.call("POST", f"/environments/{made[0]}/start")
        assert (refused.status, refused.body["code"]) == (403, "tenant_suspended")
        shoot(customer, "provider-day-suspended", full=False)

        provider.goto(f"/tenants/{tenant}/")
        provider.get_by_role("button", name="Resume", exact=True).click()
        for environment in made:
            wadah.wait_state(environment, "running", seconds=60)
    finally:
        for environment in made:
            wadah.delete(environment)
        wadah.call("DELETE", f"/tenants/{tenant}?wait_s=0")


def _make_a_plan(provider: Page, name: str) -> None:
    provider.goto("/plans/")
    provider.get_by_label("Name", exact=True).fill(name)
    provider.get_by_label("Memory, MiB").fill("64")
    provider.get_by_label("Disk, MiB").fill("128")
    provider.get_by_role("button", name="Create", exact=True).click()
    expect(provider.locator("table.data")).to_contain_text(name)


def _make_a_tenant(provider: Page, name: str) -> str:
    """With room for one environment; its id."""
    provider.goto("/tenants/create")
    provider.get_by_label("Name", exact=True).fill(name)
    provider.get_by_label("Environments", exact=True).fill("1")
    provider.get_by_role("button", name="Create", exact=True).click()
    provider.wait_for_url(_TENANT)
    return provider.url.rstrip("/").rpartition("/")[2]


def _invited(opens: Opens, provider: Page, tenant: str, word: str) -> Page:
    """The window of a new customer who came by the link."""
    provider.goto(f"/tenants/{tenant}/people/")
    provider.locator("input[name=email]").fill(f"ani-{word}@example.test")
    provider.locator("form[action$='/invite'] select[name=role]").select_option("owner")
    provider.get_by_role("button", name="Invite", exact=True).click()
    link = provider.locator(".secret .break").inner_text()
    customer = opens(signed_in=False)
    customer.goto(link)
    customer.locator("input[name=username]").fill(f"ani-{word}")
    customer.locator("input[name=password]").fill("batik-tulis-lasem-9")
    customer.get_by_role("button", name="Create the account and accept").click()
    customer.wait_for_url(re.compile(r"/(tenants|environments)/"))
    return customer


def _create(customer: Page, name: str, plan: str) -> str:
    visit(customer, "/environments/create")
    customer.get_by_label("Name", exact=True).fill(name)
    customer.locator("label.choice", has=customer.locator("input[name=image][value=busybox]")).click()
    customer.locator("label.choice", has=customer.locator(f"input[name=plan][value={plan}]")).click()
    customer.get_by_role("button", name="Create", exact=True).click()
    customer.wait_for_url(_ENVIRONMENT)
    return customer.url.rstrip("/").rpartition("/")[2]


def _raise_the_quota(provider: Page, tenant: str) -> None:
    provider.goto(f"/tenants/{tenant}/")
    expect(provider.locator("#tenant-usage")).to_contain_text("The quota of Environments is used up.")
    form = provider.locator("#quota")
    form.get_by_label("Environments", exact=True).first.fill("2")
    form.get_by_role("button", name="See what it means").click()
    expect(provider.locator("#preview")).to_contain_text("Everything that is there fits.")
    provider.locator("#quota").get_by_role("button", name="Save").click()
    expect(provider.locator(".toasts")).to_contain_text("Quota saved")


def _suspend(provider: Page, tenant: str) -> None:
    provider.goto(f"/tenants/{tenant}/")
    provider.get_by_label("Reason", exact=True).last.fill("The invoice of May is open.")
    provider.get_by_role("button", name="Suspend…").click()
    provider.locator("#confirm [data-go]").click()
    expect(provider.locator("#main")).to_contain_text("is suspended.")

"""Domains in the panel: which names can be one, whose they are, and what the front is told."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from panel.domains import owning, services, table
from panel.domains.models import Domain, DomainState, FormerDomain
from panel.domains.naming import checked_name, default_name
from panel.environments.models import Environment
from panel.environments.services import delete_environment, stop, undelete_environment
from panel.errors import Conflict, Forbidden, Invalid, NotFound, Refused
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from runtime.contract import ObservedState
from tests.panel.support import factories
from tests.panel.support.dns import Records

pytestmark = pytest.mark.django_db


def _added(actor: Actor, row: Environment, name: str = "shop.example.org", **more: Any) -> Domain:
    return services.add_domain(actor, row.tenant, name=name, targets=[(row, 8080)], **more)


def _proved(
    actor: Actor, row: Environment, dns: Records, name: str = "shop.example.org", **more: Any
) -> Domain:
    domain = _added(actor, row, name, **more)
    dns[f"_wadah.{domain.name}", "TXT"] = [f"wadah={domain.token}"]
    assert owning.check(domain.pk)
    domain.refresh_from_db()
    return domain


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Shop.Example.ORG.", "shop.example.org"),
        (" shop.example.org ", "shop.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("shop。example。org", "shop.example.org"),
        ("1.2.3.4.example.org", "1.2.3.4.example.org"),
    ],
)
def test_one_name_however_it_is_written(row: Environment, said: str, meant: str) -> None:
    assert checked_name(said, row.tenant) == meant


@pytest.mark.parametrize(
    "said",
    [
        *("", ".", "localhost", "shop", "a.localhost", "x.local", "x.internal", "testserver", "x.testserver"),
        *("1.2.3.4", "::1", "[::1]", "127.1", "0x7f.0x1", "example.0x7f", "*.example.org", "shop..example.org"),
        *("-a.example.org", "a-.example.org", "a_b.example.org", "a b.example.org", "sh\x00op.example.org"),
        *("shop.example.org:80", "http://shop.example.org", "shop.example.org/", "shop.example.org\nevil"),
        *("x." * 130 + "org", "a" * 64 + ".example.org", "\u202eshop.example.org"),
        *("1.168.192.in-addr.arpa", "hidden.onion"),
    ],
)
def test_what_is_no_tenants_name_is_refused(actor: Actor, row: Environment, said: str) -> None:
    with pytest.raises((Invalid, Conflict)):
        services.add_domain(actor, row.tenant, name=said or " ", targets=[(row, 80)])
    assert not Domain.objects.exists()


def test_names_of_the_panel_and_of_nodes_are_nobodys(wadah: Any, row: Environment) -> None:
    wadah(url="https://panel.example.org", extra_hosts="box.example.org", domains_wildcard="apps.example.net")
    row.node.public_address = "node1.example.org"
    row.node.save()
    for own in ("panel.example.org", "PANEL.example.org.", "x.panel.example.org", "box.example.org",
                "node1.example.org", "apps.example.net"):  # fmt: skip
        with pytest.raises(Conflict) as refused:
            checked_name(own, row.tenant)
        assert refused.value.code == "own_name", own


def test_a_name_below_the_administrators_needs_no_proof_and_shows_whose_it_is(
    wadah: Any, actor: Actor, row: Environment
) -> None:
    wadah(domains_wildcard="apps.example.net")
    made = services.add_domain(actor, row.tenant, targets=[(row, 80)])
    assert made.name == f"{row.name}-{row.tenant.slug}.apps.example.net"
    assert made.name == default_name(row.name, row.tenant)
    assert made.proved_by == "below"
    for odd in (f"login.{made.name}", "login.apps.example.net", "www.apps.example.net"):
        with pytest.raises(Invalid):
            checked_name(odd, row.tenant)
    other = Tenant.objects.create(name="x", slug=f"y-{row.tenant.slug}", path=f"{'0' * 32}/")
    with pytest.raises(Invalid):  # it would be the other's name
        checked_name(f"shop-{other.slug}.apps.example.net", row.tenant)


def test_it_is_served_once_its_owner_has_shown_it(actor: Actor, row: Environment, dns: Records) -> None:
    domain = _added(actor, row)
    assert table.routes() == {}
    assert not owning.check(domain.pk)
    domain.refresh_from_db()
    assert (domain.problem, table.state_of(domain)) == ("no_record", DomainState.UNPROVED)
    dns["_wadah.shop.example.org", "TXT"] = ["wadah=another"]
    assert not owning.check(domain.pk)
    domain.refresh_from_db()
    assert domain.problem == "other_record"
    dns["_wadah.shop.example.org", "TXT"] = ["v=spf1", f"wadah={domain.token}"]
    assert owning.check(domain.pk)
    route = table.routes()["shop.example.org"]
    address = row.addresses.held().first()
    assert address is not None
    assert [(str(one.address), one.port) for one in route.upstreams] == [(address.address, 8080)]
    assert route.closed == ""


def test_an_address_that_leads_here_is_enough_for_a_name_that_nobody_had(
    actor: Actor, row: Environment, dns: Records
) -> None:
    domain = _added(actor, row)
    dns["shop.example.org", "A"] = ["192.0.2.80", "192.0.2.81"]
    assert not owning.check(domain.pk), "one of its addresses is somebody else's"
    dns["shop.example.org", "A"] = ["192.0.2.80"]
    dns["shop.example.org", "AAAA"] = ["2001:db8::80"]
    assert owning.check(domain.pk)
    services.remove_domain(actor, domain.pk)
    assert FormerDomain.objects.get().name == "shop.example.org"
    again = _added(actor, row)
    assert owning.check(again.pk), "it comes back to whom it was of"
    services.remove_domain(actor, again.pk)
    thief = _added(actor, factories.environment(factories.tenant()))
    assert not owning.check(thief.pk), "a name whose address still leads here was taken over"
    thief.refresh_from_db()
    assert thief.problem == "txt_needed"


def test_nobody_keeps_a_name_from_its_owner(actor: Actor, row: Environment, dns: Records) -> None:
    squatter = _added(actor, factories.environment(factories.tenant()))
    dns["shop.example.org", "A"] = ["192.0.2.80"]
    Domain.objects.filter(pk=squatter.pk).update(proved_at=squatter.created_at, proved_by="address")
    owner = _proved(actor, row, dns)
    squatter.refresh_from_db()
    assert (squatter.proved_at, squatter.problem) == (None, "taken")
    dns["_wadah.shop.example.org", "TXT"].append(f"wadah={squatter.token}")
    assert not owning.check(squatter.pk), "who can still show it keeps it"
    assert set(table.routes()) == {owner.name}


def test_dns_that_is_away_proves_nothing(actor: Actor, row: Environment, wadah: Any) -> None:
    wadah(resolver="127.0.0.1:9")
    owning._WITHIN_S, before = 0.3, owning._WITHIN_S
    domain = _added(actor, row)
    assert not owning.check(domain.pk)
    owning._WITHIN_S = before
    domain.refresh_from_db()
    assert domain.problem == "dns_away"


def test_it_is_closed_while_nothing_behind_it_runs(actor: Actor, row: Environment, dns: Records) -> None:
    domain = _proved(actor, row, dns)

    def closed() -> str:
        return table.routes()[domain.name].closed

    assert closed() == ""
    stop(actor, row.pk)
    assert closed() == table.AWAY
    row.refresh_from_db()
    factories.reported(row, state=ObservedState.STOPPED)
    assert closed() == table.AWAY
    Tenant.objects.filter(pk=row.tenant_id).update(state="suspended")
    assert closed() == table.SUSPENDED


def test_one_in_the_trash_keeps_its_name_and_one_that_is_gone_loses_it(
    actor: Actor, row: Environment, dns: Records
) -> None:
    domain = _proved(actor, row, dns)
    Tenant.objects.filter(pk=row.tenant_id).update(trash_days=7)
    delete_environment(actor, row.pk)
    assert table.routes()[domain.name].upstreams == ()
    undelete_environment(actor, row.pk)
    assert domain.targets.count() == 1
    delete_environment(actor, row.pk, now=True)
    row.refresh_from_db()
    factories.reported(row, state=ObservedState.DELETED)
    assert domain.targets.count() == 0
    assert table.routes()[domain.name].closed == table.AWAY


def test_an_address_that_changes_is_followed(actor: Actor, row: Environment, dns: Records) -> None:
    domain = _proved(actor, row, dns)
    first = row.addresses.held().first()
    assert first is not None
    first.released_at = first.leased_at
    first.save()
    assert all(str(one.address) != first.address for one in table.routes()[domain.name].upstreams)


def test_who_is_ill_gets_nothing_while_another_is_well(actor: Actor, row: Environment, dns: Records) -> None:
    domain = _proved(actor, row, dns)
    other = factories.environment(row.tenant)
    factories.reported(other, state=ObservedState.RUNNING)
    services.add_target(actor, domain.pk, other, 9090)
    assert [one.port for one in table.routes()[domain.name].upstreams] == [8080, 9090]
    Environment.objects.filter(pk=other.pk).update(app={"health": {"state": "unhealthy"}})
    assert [one.port for one in table.routes()[domain.name].upstreams] == [8080]
    Environment.objects.filter(pk=row.pk).update(app={"health": {"state": "unhealthy"}})
    assert [one.port for one in table.routes()[domain.name].upstreams] == [8080, 9090]
    domain.targets.filter(environment=row).update(is_drained=True)
    assert [one.port for one in table.routes()[domain.name].upstreams] == [9090]
    assert not table.routes()[domain.name].is_held
    domain.targets.update(is_drained=True)
    assert table.routes()[domain.name].is_held, "who asks waits for what is being replaced"


def test_another_tenants_environment_is_never_behind_it(actor: Actor, row: Environment) -> None:
    other = factories.environment(factories.tenant())
    with pytest.raises(Invalid):
        services.add_domain(actor, row.tenant, name="shop.example.org", targets=[(other, 80)])
    domain = _added(actor, row)
    with pytest.raises(Invalid):
        services.add_target(actor, domain.pk, other, 80)


def test_who_may_what(actor: Actor, row: Environment) -> None:
    domain = _added(actor, row)
    viewer, stranger = factories.member(row.tenant, "viewer"), factories.member(factories.tenant(), "owner")
    assert services.found_domain(viewer, domain.pk) == domain
    with pytest.raises(Forbidden):
        services.change_domain(viewer, domain.pk, https=False)
    for change in (services.found_domain, services.remove_domain, services.look_now):
        with pytest.raises(NotFound):
            change(stranger, domain.pk)
    with pytest.raises(Forbidden):
        services.add_domain(viewer, row.tenant, name="x.example.org", targets=[(row, 80)])


@pytest.mark.parametrize(
    "options",
    [
        {"redirect_to": "javascript:alert(1)"},
        {"redirect_to": "//evil.example"},
        {"redirect_to": "https://user@evil.example/"},
        {"redirect_to": "https://shop.example.org/"},
        {"redirect_to": "https://a.example/\r\nSet-Cookie: a=b"},
        {"redirect_to": "https://a.example:99999/"},
        {"redirect_to": "https://[::1"},
        {"basic_auth": {"a:b": "long enough"}},
        {"basic_auth": {"ali": "short"}},
        {"basic_auth": {"": "long enough"}},
        {"basic_auth": {f"u{n}": "long enough" for n in range(51)}},
        {"balance": "chance"},
        {"health_path": "healthz"},
        {"health_path": "/a b"},
        {"health_path": "/a\r\nHost: x"},
    ],
)
def test_odd_options_are_refused_and_leave_nothing(actor: Actor, row: Environment, options: Any) -> None:
    with pytest.raises(Invalid):
        _added(actor, row, **options)
    assert not Domain.objects.exists()


def test_passwords_are_kept_as_hashes_and_shown_nowhere(actor: Actor, row: Environment, client: Client) -> None:
    domain = _added(actor, row, basic_auth={"ali": "open sesame"})
    assert domain.users["ali"].startswith("scrypt$")
    client.force_login(factories.member(row.tenant, "owner").user)
    text = client.get(f"/api/v1/domains/{domain.pk}").content.decode()
    assert '"ali"' in text
    assert "scrypt" not in text
    assert domain.users["ali"] not in client.get(f"/domains/{domain.pk}/").content.decode()
    services.change_domain(actor, domain.pk, basic_auth={"ali": None})
    domain.refresh_from_db()
    assert domain.users == {}


def test_a_tenant_has_so_many_and_can_not_turn_them_over(
    actor: Actor, row: Environment, wadah: Any, dns: Records
) -> None:
    wadah(tenant_domains=2)
    first = _proved(actor, row, dns, "one.example.org")
    _added(actor, row, "two.example.org")
    services.remove_domain(actor, first.pk)
    with pytest.raises(Refused) as refused:
        _added(actor, row, "three.example.org")
    assert refused.value.code == "too_many"


def test_the_front_goes_by_the_file(actor: Actor, row: Environment, dns: Records) -> None:
    domain = _proved(actor, row, dns)
    assert not table.write(), "there is no front"
    file = settings.WADAH.home / "domains/table/domains.json"
    file.parent.mkdir(parents=True)
    try:
        assert table.write()
        assert not table.write()
        assert domain.name in file.read_text()
        assert file.stat().st_mode & 0o777 == 0o640
        services.remove_domain(actor, domain.pk)
        assert table.write()
        assert domain.name not in file.read_text()
    finally:
        for one in file.parent.iterdir():
            one.unlink()
        file.parent.rmdir()


def test_pages(actor: Actor, row: Environment, dns: Records, client: Client, wadah: Any) -> None:
    owner = factories.member(row.tenant, "owner")
    client.force_login(owner.user)
    made = client.post("/domains/", {"name": "Shop.example.org", "environment": str(row.pk), "port": "80"})
    domain = Domain.objects.get()
    assert made.headers["Location"] == f"/domains/{domain.pk}/"
    assert domain.token in client.get(f"/domains/{domain.pk}/").content.decode()
    assert "shop.example.org" in client.get(f"/environments/{row.pk}/domains").content.decode()
    assert "shop.example.org" in client.get(f"/environments/{row.pk}/").content.decode()
    refused = client.post(f"/environments/{row.pk}/domains", {"name": "localhost", "port": "80"})
    assert refused.status_code == 422
    saved = client.post(f"/domains/{domain.pk}/", {"balance": "sticky", "redirect_to": "https://a.example"})
    assert saved.status_code == 302
    domain.refresh_from_db()
    assert (domain.balance, domain.redirect_to, domain.https) == ("sticky", "https://a.example/", False)
    assert client.post(f"/domains/{domain.pk}/users", {"user": "ali", "password": "short"}).status_code == 422
    assert client.post(f"/domains/{domain.pk}/targets", {"environment": "x", "port": "80"}).status_code == 422
    assert client.post(f"/domains/{domain.pk}/targets/{row.pk}/remove").status_code == 302
    assert client.post(f"/domains/{domain.pk}/remove").status_code == 302
    assert not Domain.objects.exists()

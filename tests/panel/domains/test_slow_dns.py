"""Name servers of tenants take their time: whose name waits behind theirs, and what else does."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from panel.domains import owning, services, tasks
from panel.domains.models import Domain
from panel.environments.models import Environment
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from tests.panel.support import factories
from tests.panel.support.dns import Records

pytestmark = pytest.mark.django_db


@pytest.fixture
def silent(wadah: Any) -> Iterator[None]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        host, port = one.getsockname()
        wadah(resolver=f"{host}:{port}", domains_addresses="192.0.2.80")
        yield


def _waiting(tenant: Tenant, *names: str) -> list[Domain]:
    return [Domain.objects.create(tenant=tenant, name=name, token="t") for name in names]


@pytest.mark.usefixtures("silent")
def test_twenty_that_say_nothing_take_no_longer_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owning, "_WITHIN_S", 0.5)
    _waiting(factories.tenant(), *(f"slow-{one}.example.org" for one in range(20)))
    began = time.monotonic()
    assert owning.look_again() == 0
    assert time.monotonic() - began < 4
    assert set(Domain.objects.values_list("problem", flat=True)) == {"dns_away"}


def test_one_name_is_asked_for_in_one_time_whatever_is_asked(
    monkeypatch: pytest.MonkeyPatch, wadah: Any
) -> None:
    """A server that answers each question just before its end had three times as long."""
    monkeypatch.setattr(owning, "_WITHIN_S", 1.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        host, port = server.getsockname()
        wadah(resolver=f"{host}:{port}", domains_addresses="192.0.2.80")

        def late() -> None:
            import dns.message

            while len(data := (got := server.recvfrom(4096))[0]) > 3:
                time.sleep(0.8)
                server.sendto(dns.message.make_response(dns.message.from_wire(data)).to_wire(), got[1])

        thread = threading.Thread(target=late, daemon=True)
        thread.start()
        (row,) = _waiting(factories.tenant(), "late.example.org")
        began = time.monotonic()
        assert owning.ask(row).is_away
        assert time.monotonic() - began < 1.6
        server.sendto(b"end", (host, port))
        thread.join(5)


def test_a_neighbours_one_name_comes_before_the_second_of_who_asks_for_fifty(dns: Records) -> None:
    mine, theirs = factories.tenant(), factories.tenant()
    _waiting(theirs, *(f"n{one}.example.org" for one in range(60)))
    (row,) = _waiting(mine, "mine.example.org")
    dns["_wadah.mine.example.org", "TXT"] = [owning.record_of(row)[1]]
    for _ in range(2):
        Domain.objects.filter(tenant=theirs).update(looked_at=None)
    assert owning.look_again() == 1
    row.refresh_from_db()
    assert row.proved_at is not None


def test_to_ask_takes_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel's two workers, who take in what nodes say, waited for a tenant's name servers."""
    shut, rounds = threading.Event(), list[int]()

    def look() -> int:
        rounds.append(1)
        shut.wait(20)
        return 0

    monkeypatch.setattr(owning, "look_again", look)
    began = time.monotonic()
    for _ in range(50):
        tasks.domains_owned()
    assert time.monotonic() - began < 2
    shut.set()
    until = time.monotonic() + 10
    while (tasks._at_work.locked() or tasks._wanted.is_set()) and time.monotonic() < until:
        time.sleep(0.05)
    assert len(rounds) == 2, "what was asked for meanwhile is one round more"


def test_who_asks_again_is_looked_at_again(actor: Actor, row: Environment, dns: Records) -> None:
    domain = services.add_domain(actor, row.tenant, name="shop.example.org", targets=[(row, 80)])
    assert owning.look_again() == 0
    dns["_wadah.shop.example.org", "TXT"] = [owning.record_of(domain)[1]]
    assert owning.look_again() == 0, "it was looked at just now"
    services.look_now(actor, domain.pk)
    assert owning.look_again() == 1

"""Names by which apps find each other: lines of /etc/hosts, replaced live, and no way for anybody else."""

from uuid import UUID

from runtime.contract import HostName
from runtime.engine import Engine
from runtime.node import Node
from tests.host.apps.conftest import AppOf
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until
from tests.support.registry import Hub, busybox

SERVER = "mkdir -p /www; echo $WHO >/www/index.html; httpd -p 8080 -h /www; exec sleep 3600"
#: What busybox resolves names by wants a libc beside it: the name is looked up as a C library does.
ASK = (
    "address=$(grep -w db /etc/hosts | cut -f1);"
    " { printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 $address 8080 || echo nobody; } | tail -n 1"
)


def _names(**addresses: object) -> tuple[HostName, ...]:
    return tuple(HostName.model_validate({"name": name, "addresses": one}) for name, one in addresses.items())


def test_a_name_leads_to_its_own_and_follows_a_new_address_live(
    hub: Hub, make: Make, node: Node, engine: Engine, specs: Specs, app_of: AppOf
) -> None:
    image = hub.push("lib/names:1", busybox(), config={"Entrypoint": ["/bin/sh", "-c", SERVER]})
    first, second = (make(**app_of(image, env={"WHO": who})) for who in ("first", "second"))
    web = make(**app_of(image, hosts={"outside": "192.0.2.9"}, files={"/etc/app/web.conf": "port 8080\n"}))
    stranger = make(tenant_id=UUID(int=2), **app_of(image))
    assert sh(node, web, "cat /etc/app/web.conf; grep outside /etc/hosts") == "port 8080\n192.0.2.9\toutside"
    for row, reached in ((web, "first"), (stranger, "nobody")):
        network = row.network.model_copy(update={"names": _names(db=first.network.ipv4)})
        report = engine.apply(specs.change(row, network=network))
        assert report is not None
        assert not report.code, report.message
        wait_until(lambda row=row: "db" in sh(node, row, "cat /etc/hosts"), "its name")
        assert sh(node, row, ASK) == reached
    started = engine.current_report(web.id)
    network = web.network.model_copy(update={"names": _names(db=second.network.ipv4)})
    report = engine.apply(specs.change(web, network=network, generation=web.generation + 2))
    assert report is not None
    assert started is not None
    assert report.started_at == started.started_at
    assert sh(node, web, ASK) == "second"

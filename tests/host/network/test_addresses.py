"""Addresses come and go while it runs, with their routes; the way out stays."""

import pytest

from runtime.contract import EnvironmentSpec, EventCode, Interface, Network, Report
from runtime.engine import Engine
from runtime.kinds import Toolbox
from runtime.node import Node
from runtime.resources.addresses import Addresses
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs


def _inside(node: Node, spec: EnvironmentSpec, family: int) -> set[str]:
    lines = sh(node, spec, f"ip -{family} -o addr show dev eth0 scope global").splitlines()
    return {line.split()[3].split("/")[0] for line in lines}


def test_one_more_and_the_first_one_away_live(make: Make, node: Node, engine: Engine, specs: Specs) -> None:
    spec = make()
    [first4], [first6] = spec.network.ipv4, spec.network.ipv6
    second4, second6 = first4 + 2000, first6 + 2000
    both = Interface(ipv4=(first4, second4), ipv6=(first6, second6))
    more = specs.change(spec, network=Network(interfaces=(both,)))
    report = engine.apply(more)
    assert report is not None and not report.code, report
    assert _inside(node, spec, 4) == {str(first4), str(second4)}
    assert _inside(node, spec, 6) == {str(first6), str(second6)}
    assert f"src {first4}" in sh(node, spec, "ip -4 route show default")

    second = Interface(ipv4=(second4,), ipv6=(second6,))
    report = engine.apply(specs.change(more, network=Network(interfaces=(second,))))
    assert report is not None and not report.code, report
    assert _inside(node, spec, 4) == {str(second4)}
    assert _inside(node, spec, 6) == {str(second6)}
    seen = Toolbox(node).one(Addresses).inspect(spec.id)
    assert seen is not None
    assert set(seen["routed"]) == {str(second4), str(second6)}
    assert f"src {second4}" in sh(node, spec, "ip -4 route show default")
    assert sh(node, spec, "ip -6 route show default")


def test_the_last_one_away_and_one_again(make: Make, node: Node, engine: Engine, specs: Specs) -> None:
    spec = make()
    none = specs.change(spec, network=Network())
    report = engine.apply(none)
    assert report is not None and not report.code, report
    assert _inside(node, spec, 4) == set()
    engine.apply(specs.change(none, network=spec.network))
    assert _inside(node, spec, 4) == {str(spec.network.ipv4[0])}
    assert f"src {spec.network.ipv4[0]}" in sh(node, spec, "ip -4 route show default")


@pytest.mark.parametrize(
    "tool",
    [
        "ip addr flush dev eth0",
        "ip link set eth0 down",
        "ip -6 addr flush dev eth0 scope global",
        "for i in $(seq 2 60); do ip addr add 192.0.2.$i/32 dev eth0; done; ip addr del {ipv4}/32 dev eth0",
    ],
)
def test_what_tools_inside_take_away_is_mended_and_told(
    make: Make, node: Node, engine: Engine, reports: list[Report], tool: str
) -> None:
    spec = make()
    [ipv4], [ipv6] = spec.network.ipv4, spec.network.ipv6
    sh(node, spec, tool.format(ipv4=ipv4))
    for _ in range(2):
        engine.reconcile()
        assert str(ipv4) in _inside(node, spec, 4)
        assert str(ipv6) in _inside(node, spec, 6)
        assert sh(node, spec, "ip -4 route show default")
        sh(node, spec, tool.format(ipv4=ipv4))
    told = [one for report in reports for one in report.events if one.code is EventCode.REPAIRED]
    assert [str(one.message).startswith(("its address", "its network link")) for one in told] == [True]
    assert engine.reconcile()
    assert not engine.reconcile()


def test_addresses_of_ones_own_stay(make: Make, node: Node, engine: Engine) -> None:
    spec = make()
    sh(node, spec, "for i in $(seq 1 250); do ip addr add 192.0.2.$i/32 dev eth0; done")
    assert not engine.reconcile()
    assert len(_inside(node, spec, 4)) == 251

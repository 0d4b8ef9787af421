"""A link's rate both ways: set, changed live, lifted, and put back when somebody took a part of it away."""

import json

import pytest

from tests.host.support.network import Lab, StandIn

#: The least one, one that people have, and half of the highest.
RATES = (8_000, 50_000_000, 17_000_000_000)


def _limits(ve: StandIn, towards: int | None, away: int | None) -> dict[str, object]:
    rates = {"network_in_bit_s": towards, "network_out_bit_s": away}
    return {**ve.spec.limits.model_dump(), **rates}


def _kernel(lab: Lab, device: str) -> int | None:
    """Bits per second as tc(8) tells them; None without a token bucket."""
    for queue in json.loads(lab.here.tc(f"-j qdisc show dev {device}")):
        if queue["kind"] == "tbf":
            return int(queue["options"]["rate"]) * 8
    return None


def _ifb(ve: StandIn) -> str:
    return "i" + ve.link[1:]


@pytest.mark.parametrize("rate", RATES)
def test_a_rate_is_set_seen_and_lifted_live(lab: Lab, rate: int) -> None:
    ve = lab.new()
    assert ve.drift() == []
    ve.respec(limits=_limits(ve, rate, rate))
    assert (_kernel(lab, ve.link), _kernel(lab, _ifb(ve))) == (rate, rate)
    assert ve.drift() == []
    assert lab.resources[-1].inspect(ve.spec.id) == {"in_bit_s": rate, "out_bit_s": rate}
    assert ve.ensure()[-1] is None, "nothing was left to do"
    ve.respec(limits=_limits(ve, None, 2 * rate))
    assert (_kernel(lab, ve.link), _kernel(lab, _ifb(ve))) == (None, 2 * rate)
    ve.respec(limits=_limits(ve, None, None))
    assert _kernel(lab, ve.link) is None
    assert "ingress" not in lab.here.tc(f"qdisc show dev {ve.link}")
    assert _ifb(ve) not in lab.here.ip("link show")
    assert ve.drift() == []


@pytest.mark.parametrize("part", ["towards", "device", "what leads to the device", "another rate"])
def test_a_part_that_somebody_took_away_is_missed_and_put_back(lab: Lab, part: str) -> None:
    rate = 20_000_000
    ve = lab.new(limits={"network_in_bit_s": rate, "network_out_bit_s": rate})
    if part == "towards":
        lab.here.tc(f"qdisc del dev {ve.link} root")
    elif part == "device":
        lab.here.ip(f"link del {_ifb(ve)}")
    elif part == "what leads to the device":
        lab.here.tc(f"qdisc del dev {ve.link} ingress")
    else:
        lab.here.tc(f"qdisc replace dev {_ifb(ve)} root tbf rate 1gbit burst 1mb latency 50ms")
    assert ve.drift() == ["its network rate was changed"]
    ve.ensure()
    assert ve.drift() == []
    assert (_kernel(lab, ve.link), _kernel(lab, _ifb(ve))) == (rate, rate)
    filters = lab.here.tc(f"filter show dev {ve.link} parent ffff:")
    assert f"to device {_ifb(ve)}" in filters


def test_what_nobody_asked_for_is_taken_away(lab: Lab) -> None:
    ve = lab.new()
    lab.here.tc(f"qdisc add dev {ve.link} root tbf rate 1mbit burst 20kb latency 50ms")
    assert ve.drift() == ["its network rate was changed"]
    ve.ensure()
    assert _kernel(lab, ve.link) is None

"""Network rate of an environment, both ways, held on the host's side of its link.

Towards it: a token bucket (tc-tbf(8)) on the link. From it: what arrives from the link is redirected to
an intermediate device (IFB) with a token bucket of its own, since a queue inside could be taken away by
root inside, and this works without the `police` action, which not every kernel has.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import drift, refusals, steps
from runtime.errors import RuntimeFault
from runtime.glance import Glance
from runtime.host.netlink import IPRoute, NetlinkError, Rtnetlink, link_index
from runtime.host.rtnetlink import Link, Queues
from runtime.resources.base import Found, Resource
from runtime.resources.link import ALIAS, links_by_name

#: Index of the link of a name; None without one.
FindLink = Callable[[str], int | None]

#: How long a packet may wait in the bucket's queue.
LATENCY_US = 50_000
_INGRESS = 0xFFFF0000
_ETH_P_ALL = 0x0003


def burst_bytes(rate_bit_s: int) -> int:
    """20 ms of the rate, at least ten full packets: enough for the timer's grain, little enough to hold."""
    return max(15_140, rate_bit_s // 8 // 50)


@dataclass(frozen=True)
class _Rates:
    """Bytes per second towards an environment and away from it. None: not held; 0: only half of what holds it
    is there."""

    towards: int | None
    away: int | None


class Shaping(Resource):
    name = "network rate"

    def _ifb_name(self, environment_id: UUID) -> str:
        return "i" + self.node.link_name(environment_id)[1:]

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        with Rtnetlink() as netlink:
            link = netlink.link(self.node.link_name(spec.id))
            if link is None:
                raise RuntimeFault(refusals.link_gone(), code="link_gone")
            seen = self._seen(netlink, link, spec.id)
            if seen == _wanted(spec):
                return None
            has_ingress = netlink.has_ingress_queue(link.index)
        try:
            with IPRoute() as ip:
                if seen.towards != _wanted(spec).towards:
                    _set_rate(ip, link.index, spec.limits.network_in_bit_s)
                if seen.away != _wanted(spec).away:
                    self._set_away(ip, link.index, spec, has_ingress=has_ingress)
        except NetlinkError as error:
            raise RuntimeFault(refusals.rate_not_set(str(error)), code="shaping_failed") from error
        return steps.set_()

    def _set_away(self, ip: IPRoute, link: int, spec: EnvironmentSpec, *, has_ingress: bool) -> None:
        rate, name = spec.limits.network_out_bit_s, self._ifb_name(spec.id)
        ifb = link_index(name)
        if rate is None:
            if has_ingress:
                ip.tc("del", "ingress", link, _INGRESS)
            if ifb is not None:
                ip.link("del", index=ifb)
            return
        if ifb is None:
            if has_ingress:  # it leads to a device that somebody took away
                ip.tc("del", "ingress", link, _INGRESS)
                has_ingress = False
            ip.link("add", ifname=name, kind="ifb")
            ip.link("set", ifname=name, ifalias=f"{ALIAS}{spec.id}", state="up")
            ifb = link_index(name)
        if ifb is None:
            raise RuntimeFault(refusals.no_rate_device(), code="shaping_failed")
        _set_rate(ip, ifb, rate)
        if not has_ingress:
            ip.tc("add", "ingress", link, _INGRESS)
            ip.tc(
                "add-filter",
                "u32",
                link,
                parent=_INGRESS,
                prio=1,
                protocol=_ETH_P_ALL,
                target=0x10001,
                keys=["0x0/0x0+0"],
                action={"kind": "mirred", "direction": "egress", "action": "redirect", "ifindex": ifb},
            )

    def _seen(
        self, queues: Rtnetlink | Queues, link: Link, environment_id: UUID, find: FindLink = link_index
    ) -> _Rates:
        """A device without what leads to it holds nothing, and neither does what leads to none."""
        towards = queues.token_bucket(link.index) if link.queue == "tbf" else None
        ifb = find(self._ifb_name(environment_id))
        if ifb is None:
            return _Rates(towards, 0 if queues.has_ingress_queue(link.index) else None)
        rate = queues.token_bucket(ifb) if queues.has_ingress_queue(link.index) else None
        return _Rates(towards, rate or 0)

    def remove(self, environment_id: UUID) -> Said | None:
        """The queue goes with the link; the intermediate device is taken away."""
        ifb = link_index(self._ifb_name(environment_id))
        if ifb is not None:
            with suppress(NetlinkError), IPRoute() as ip:
                ip.link("del", index=ifb)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        seen = self._look(environment_id)
        if seen is None:
            return None
        return {
            "in_bit_s": seen.towards * 8 if seen.towards else None,
            "out_bit_s": seen.away * 8 if seen.away else None,
        }

    def _look(self, environment_id: UUID) -> _Rates | None:
        with Rtnetlink() as netlink:
            link = netlink.link(self.node.link_name(environment_id))
            return None if link is None else self._seen(netlink, link, environment_id)

    def inventory(self) -> Iterable[Found]:
        prefix = "i" + self.node.link_prefix[1:]
        with Rtnetlink() as netlink:
            links = netlink.links()
        for link in links:
            if link.name.startswith(prefix) and link.alias.startswith(ALIAS):
                yield Found(self.name, UUID(link.alias.removeprefix(ALIAS)), link.name)

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        links = links_by_name(glance)
        link = links.get(self.node.link_name(spec.id))
        if link is None:
            return None  # its link says so

        def find(name: str) -> int | None:
            return links[name].index if name in links else None

        seen = self._seen(glance.once("queues", _queues), link, spec.id, find)
        return None if seen == _wanted(spec) else drift.rate_changed()


def _queues() -> Queues:
    with Rtnetlink() as netlink:
        return netlink.queues()


def _wanted(spec: EnvironmentSpec) -> _Rates:
    limits = (spec.limits.network_in_bit_s, spec.limits.network_out_bit_s)
    return _Rates(*(None if rate is None else rate // 8 for rate in limits))


def _set_rate(ip: IPRoute, link: int, rate_bit_s: int | None) -> None:
    """The token bucket of a link that has another rate; None: it has one and shall have none."""
    if rate_bit_s is None:
        ip.tc("del", index=link, handle=0, root=True)
        return
    burst = burst_bytes(rate_bit_s)
    ip.tc("replace", "tbf", link, 0x10000, rate=rate_bit_s // 8, latency=LATENCY_US, burst=burst)

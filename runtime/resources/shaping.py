"""Network rate of an environment, both ways, held on the host's side of its link.

Towards it: a token bucket (tc-tbf(8)) on the link. From it: what arrives from the link is redirected to
an intermediate device (IFB) with a token bucket of its own, since a queue inside could be taken away by
root inside, and this works without the `police` action, which not every kernel has.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from runtime.contract import EnvironmentSpec
from runtime.errors import RuntimeFault
from runtime.host.netlink import IPRoute, NetlinkError, Rtnetlink, link_index
from runtime.resources.base import Found, Resource
from runtime.resources.link import ALIAS

#: How long a packet may wait in the bucket's queue.
LATENCY_US = 50_000
_INGRESS = 0xFFFF0000
_ETH_P_ALL = 0x0003


def burst_bytes(rate_bit_s: int) -> int:
    """20 ms of the rate, at least ten full packets: enough for the timer's grain, little enough to hold."""
    return max(15_140, rate_bit_s // 8 // 50)


class Shaping(Resource):
    name = "network rate"

    def _ifb_name(self, environment_id: UUID) -> str:
        return "i" + self.node.link_name(environment_id)[1:]

    def ensure(self, spec: EnvironmentSpec) -> str | None:
        with Rtnetlink() as netlink:
            link = netlink.link(self.node.link_name(spec.id))
        if link is None:
            raise RuntimeFault("its network link is gone", code="link_gone")
        limits = spec.limits
        ifb = link_index(self._ifb_name(spec.id))
        is_unlimited = limits.network_in_bit_s is None and limits.network_out_bit_s is None
        if is_unlimited and ifb is None and link.queue != "tbf":
            return None
        try:
            with IPRoute() as ip:
                changed = self._ensure_in(ip, link.index, limits.network_in_bit_s)
                changed |= self._ensure_out(ip, link.index, ifb, spec)
        except NetlinkError as error:
            raise RuntimeFault(f"the network rate can't be set: {error}", code="shaping_failed") from error
        return "set" if changed else None

    @staticmethod
    def _ensure_in(ip: IPRoute, link: int, rate_bit_s: int | None) -> bool:
        now = _rate(ip, link)
        if rate_bit_s is None:
            if now is not None:
                ip.tc("del", index=link, root=True)
            return now is not None
        if now == rate_bit_s // 8:
            return False
        _set_rate(ip, link, rate_bit_s)
        return True

    def _ensure_out(self, ip: IPRoute, link: int, ifb: int | None, spec: EnvironmentSpec) -> bool:
        rate = spec.limits.network_out_bit_s
        if rate is None:
            if ifb is not None:
                with suppress(NetlinkError):
                    ip.tc("del", "ingress", link, _INGRESS)
                ip.link("del", index=ifb)
            return ifb is not None
        if ifb is None:
            name = self._ifb_name(spec.id)
            ip.link("add", ifname=name, kind="ifb")
            ip.link("set", ifname=name, ifalias=f"{ALIAS}{spec.id}", state="up")
            ifb = link_index(name)
        if ifb is None:
            raise RuntimeFault("the device for its outgoing rate can't be made", code="shaping_failed")
        changed = _rate(ip, ifb) != rate // 8
        if changed:
            _set_rate(ip, ifb, rate)
        if not any(one.get_attr("TCA_KIND") == "ingress" for one in ip.get_qdiscs(index=link)):
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
        return changed

    def remove(self, environment_id: UUID) -> str | None:
        """The queue goes with the link; the intermediate device is taken away."""
        ifb = link_index(self._ifb_name(environment_id))
        if ifb is not None:
            with suppress(NetlinkError), IPRoute() as ip:
                ip.link("del", index=ifb)
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        link = link_index(self.node.link_name(environment_id))
        if link is None:
            return None
        ifb = link_index(self._ifb_name(environment_id))
        with IPRoute() as ip:
            towards = _rate(ip, link)
            away = _rate(ip, ifb) if ifb is not None else None
        return {
            "in_bit_s": towards * 8 if towards is not None else None,
            "out_bit_s": away * 8 if away is not None else None,
        }

    def inventory(self) -> Iterable[Found]:
        prefix = "i" + self.node.link_prefix[1:]
        with IPRoute() as ip:
            for link in ip.get_links():
                alias = str(link.get("ifalias") or "")
                if str(link.get("ifname", "")).startswith(prefix) and alias.startswith(ALIAS):
                    yield Found(self.name, UUID(alias.removeprefix(ALIAS)), str(link.get("ifname")))

    def drifted(self, spec: EnvironmentSpec) -> str | None:
        seen = self.inspect(spec.id) or {"in_bit_s": None, "out_bit_s": None}
        wanted = (spec.limits.network_in_bit_s, spec.limits.network_out_bit_s)
        for now, then in zip((seen["in_bit_s"], seen["out_bit_s"]), wanted, strict=True):
            if (now is None) != (then is None) or (then is not None and now // 8 != then // 8):
                return "its network rate was changed"
        return None


def _rate(ip: IPRoute, link: int) -> int | None:
    """Bytes per second of the token bucket on a link; None without one."""
    for qdisc in ip.get_qdiscs(index=link):
        if qdisc.get_attr("TCA_KIND") == "tbf":
            parameters = qdisc.get_attr("TCA_OPTIONS").get_attr("TCA_TBF_PARMS")
            return int(parameters["rate"])
    return None


def _set_rate(ip: IPRoute, link: int, rate_bit_s: int) -> None:
    burst = burst_bytes(rate_bit_s)
    ip.tc("replace", "tbf", link, 0x10000, rate=rate_bit_s // 8, latency=LATENCY_US, burst=burst)

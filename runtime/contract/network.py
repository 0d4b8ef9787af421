"""An environment's network: its interfaces, and the ways in and out that hold for all of them."""

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from runtime.contract.base import HostNameText, Message, Port

#: So many interfaces an environment may have; the shape of the messages is ready for more.
MOST_INTERFACES = 1


class Forward(Message):
    """One port of the node's public side that leads to a port of the environment."""

    protocol: Literal["tcp", "udp"]
    node_port: Port
    port: Port


#: Of /etc/hosts of one app.
MOST_NAMES = 200


class HostName(Message):
    """A name that an app finds others by, beside what its resolver knows."""

    name: HostNameText
    addresses: Annotated[tuple[IPv4Address | IPv6Address, ...], Field(min_length=1, max_length=64)]


class Interface(Message):
    """One link of an environment, `ethN` inside. Empty address lists: a link that nothing can be sent on."""

    number: Annotated[int, Field(ge=0, le=15)] = 0
    ipv4: tuple[IPv4Address, ...] = ()
    ipv6: tuple[IPv6Address, ...] = ()


class InterfaceUse(Message):
    """What passed on one interface."""

    number: Annotated[int, Field(ge=0, le=15)] = 0
    link: Annotated[int, Field(ge=0)] = 0
    """Index of the host's side of it (0: none): with another one, the counters began at zero."""
    in_bytes: Annotated[int, Field(ge=0)] = 0
    """Towards the environment."""
    out_bytes: Annotated[int, Field(ge=0)] = 0


class Network(Message):
    """Interfaces with their addresses, and ways in and out. Without addresses: loopback only."""

    interfaces: Annotated[tuple[Interface, ...], Field(max_length=MOST_INTERFACES)] = (Interface(),)
    forwards: tuple[Forward, ...] = ()
    nameservers: Annotated[tuple[IPv4Address | IPv6Address, ...], Field(max_length=3)] = ()
    """Resolvers for /etc/resolv.conf; empty: the node's own choice."""
    names: Annotated[tuple[HostName, ...], Field(max_length=MOST_NAMES)] = ()
    """Of an app, for its /etc/hosts; told anew, they hold at once. They open no way: who reaches whom is the
    same with them and without."""
    allow_private: bool = False
    """May open connections to private address ranges beyond the node (off: RFC 1918 & co. refused)."""
    allow_smtp: bool = False
    """May open connections to port 25."""
    closed: bool = False
    """Neither sends nor is led to, whatever else is said here: of somebody who is suspended."""

    @model_validator(mode="before")
    @classmethod
    def _with_interfaces(cls, given: Any) -> Any:
        """What a node wrote down before there were interfaces had the addresses of its one link here."""
        if not isinstance(given, dict) or not given.keys() & {"ipv4", "ipv6"} or "interfaces" in given:
            return given
        kept = {name: value for name, value in given.items() if name not in ("ipv4", "ipv6")}
        return {**kept, "interfaces": [{name: given.get(name, ()) for name in ("ipv4", "ipv6")}]}

    @property
    def ipv4(self) -> tuple[IPv4Address, ...]:
        """Of all interfaces."""
        return tuple(address for one in self.interfaces for address in one.ipv4)

    @property
    def ipv6(self) -> tuple[IPv6Address, ...]:
        """Of all interfaces."""
        return tuple(address for one in self.interfaces for address in one.ipv6)

"""Where browsers find the panel: what the options of `up` say, kept in HOME/front.json from then on."""

import errno
import ipaddress
import json
import os
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from runtime.install.files import put
from runtime.install.layout import Layout
from runtime.install.output import Stop

DEFAULT_PORT, DEFAULT_TLS_PORT = 8080, 8443
#: RFC 1123 labels, at least two.
_DOMAIN = re.compile(r"^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$")
#: The same, one is enough: a machine's own name.
_NAME = re.compile(r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$")
#: Below, only root or a process with CAP_NET_BIND_SERVICE may listen (ip(7)).
FIRST_FREE_PORT = 1024
_LOOPBACK = ("127.0.0.1", "::1")
#: How a browser on the same machine, or at the near end of a tunnel, may call it.
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
#: Takes away what was said before.
_NONE = "none"
#: Of the front for tenants' domains: every address of the machine.
ALL = "*"
_LISTS = ("bind", "names", "proxies", "domains", "domains_ports")


@dataclass(frozen=True)
class Wish:
    """What was said this time; None: as the last time."""

    port: int | None = None
    domain: str | None = None
    listen: str | None = None
    local: bool = False
    url: str | None = None
    names: Sequence[str] | None = None
    proxies: Sequence[str] | None = None
    domains: Sequence[str] | None = None
    domains_ports: str | None = None
    ssh: str | None = None


@dataclass(frozen=True)
class Front:
    url: str
    """As people type it: the address of a proxy before it, where there is one."""
    own: str = ""
    """Scheme, host and port that it serves itself; empty: `url`."""
    bind: tuple[str, ...] = ()
    """Addresses that it listens on; none: every one of the machine."""
    names: tuple[str, ...] = ()
    """Further names that it answers to."""
    proxies: tuple[str, ...] = ()
    """Networks whose word on the client's address is believed."""
    internal_tls: bool = False
    domains: tuple[str, ...] = ()
    """Addresses that the front for tenants' domains listens on; `*`: every one; none: there is none."""
    domains_ports: tuple[int, int] = (80, 443)
    """Of that front: without TLS and with it."""
    ssh: str = ""
    """`ADDRESS:PORT` of the SSH gateway; empty: there is none."""

    @property
    def ssh_place(self) -> tuple[str, int] | None:
        """Where the gateway listens; an empty address is every one of the machine."""
        address, _colon, port = self.ssh.rpartition(":")
        return (address.strip("[]"), int(port)) if self.ssh else None

    @classmethod
    def of(cls, document: dict[str, Any]) -> "Front":
        """From what `as_document` gave, after a way through JSON."""
        lists = {name: tuple(document[name]) for name in _LISTS}
        return cls(**{**document, **lists})

    def as_document(self) -> dict[str, Any]:
        lists = {name: list(getattr(self, name)) for name in _LISTS}
        return {**asdict(self), **lists}

    @property
    def ports(self) -> tuple[int, ...]:
        """A domain is served on the ports of HTTP and HTTPS."""
        parts = urlsplit(self.own or self.url)
        if parts.port:
            return (parts.port,)
        return (80, 443) if parts.scheme == "https" else (80,)

    @property
    def has_low_port(self) -> bool:
        """Whether it listens on a port that only root may bind."""
        return any(port < FIRST_FREE_PORT for port in self.ports)

    @property
    def domains_listening(self) -> list[tuple[str, int]]:
        """As `listening`, of the front for tenants' domains."""
        hosts = ["" if one == ALL else one for one in self.domains]
        return [(address, port) for address in hosts for port in self.domains_ports]

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        return bool(self.bind) and all(ipaddress.ip_address(one).is_loopback for one in self.bind)

    @property
    def listening(self) -> list[tuple[str, int]]:
        """Addresses and ports; an empty address is every one of the machine."""
        return [(address, port) for address in self.bind or ("",) for port in self.ports]

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every further name that the panel answers to, as in the header `Host`."""
        return (*self.names, *(LOOPBACK_NAMES if self.is_local else ()))

    @property
    def tunnel(self) -> str:
        """The command that brings a front on loopback to somebody else's machine."""
        port = self.ports[0]
        return f"ssh -N -L {port}:127.0.0.1:{port} {socket.gethostname()}"


def front_of(layout: Layout, wish: Wish = Wish()) -> Front:
    """From the options, else from the last time, else http on loopback. Writes nothing; raises `Stop` for
    an option that can't be."""
    return _made(_wanted(layout, wish))


def keep(layout: Layout, wish: Wish) -> None:
    """What `front_of` is asked without options from now on."""
    wanted = _wanted(layout, wish)
    if wanted != _known(layout):
        put(layout.settings_file, json.dumps(wanted))


def check_free(front: Front) -> None:
    """Raises `Stop` when it can't listen there."""
    for host, port in [*front.listening, *front.domains_listening]:
        with socket.socket(_family(host)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as taken:
                place = host or "this machine"
                if taken.errno == errno.EADDRINUSE:
                    raise Stop(
                        f"port {port} of {place} is taken by another program", "Choose another: --port N"
                    ) from taken
                raise Stop(
                    f"nothing can listen on port {port} of {place}: {taken.strerror}",
                    "`ip -brief address` lists this machine's own addresses.",
                ) from taken


def _known(layout: Layout) -> dict[str, Any]:
    """What is kept, read as strictly as what is said: people edit the file. Raises `Stop` for what can't be."""
    try:
        kept = dict(json.loads(layout.settings_file.read_text()))
        return {key: _KEPT[key](value) for key, value in kept.items() if key in _KEPT}
    except FileNotFoundError:
        return {}
    except Stop as wrong:
        said = str(wrong)
    except (TypeError, ValueError, AttributeError):
        said = "it, or a value in it, isn't of its kind"
    remedy = "Mend the file, or delete it and say the options of `up` again."
    raise Stop(f"{layout.settings_file} can't be used: {said}", remedy)


def _wanted(layout: Layout, wish: Wish) -> dict[str, Any]:
    """The kept settings with the given ones in their place; the three ways to listen exclude each other."""
    if sum((wish.domain is not None, wish.listen is not None, wish.local)) > 1:
        raise Stop("only one of --domain, --listen and --local can be")
    if wish.domain is not None and wish.url is not None:
        raise Stop("--domain is the address already: leave --url out")
    wanted = _placed(_known(layout), wish)
    if wish.port is not None:
        if "domain" in wanted:
            raise Stop("this panel has a domain, which is served on the ports 80 and 443", "Add --local.")
        wanted["port"] = _port(wish.port)
    if wish.url is not None:
        if "domain" in wanted and wish.url != _NONE:
            raise Stop("this panel has a domain, which is its address", "Add --local or --listen.")
        _set(wanted, "url", None if wish.url == _NONE else _url(wish.url))
    if wish.names is not None:
        _set(wanted, "names", [_name(one) for one in _listed(wish.names)])
    if wish.proxies is not None:
        _set(wanted, "proxies", _proxies(_listed(wish.proxies)))
    if wish.domains is not None:
        _set(wanted, "domains", _domains(_listed(wish.domains)))
    if wish.domains_ports is not None:
        _set(wanted, "domains_ports", _two_ports(wish.domains_ports))
    if wish.ssh is not None:
        _set(wanted, "ssh", None if wish.ssh == _NONE else _ssh(wish.ssh))
    return wanted


def _ssh(text: str) -> str:
    """`PORT` is on loopback, `ADDRESS:PORT` there, `:PORT` everywhere. Raises `Stop`."""
    address, colon, port = str(text).rpartition(":")
    number = _port(int(port)) if port.isascii() and port.isdigit() else 0
    if number < FIRST_FREE_PORT:
        raise Stop(f"--ssh is [ADDRESS:]PORT with a port from {FIRST_FREE_PORT} on, not “{text}”")
    if not colon:
        return f"127.0.0.1:{number}"
    return f"{bracketed(_address(address.strip('[]')))}:{number}" if address else f":{number}"


def _placed(known: dict[str, Any], wish: Wish) -> dict[str, Any]:
    """The kept settings with this time's way to listen."""
    if wish.domain is not None:
        if wish.port is not None:
            raise Stop("a domain is served on the ports 80 and 443: leave --port out")
        return _only(known, "names", "proxies", *_OF_OTHERS) | {"domain": _domain(wish.domain)}
    if wish.listen is not None:
        return _only(known, "port", "url", "names", "proxies", *_OF_OTHERS) | {"listen": _address(wish.listen)}
    return _only(known, *_OF_OTHERS) if wish.local else dict(known)


_OF_OTHERS = ("domains", "domains_ports", "ssh")


def _refuse_both(front: Front) -> None:
    """Raises `Stop` where the front for domains would listen where the panel's does."""
    for host, port in front.domains_listening:
        for other, taken in front.listening:
            if port == taken and (host == other or "" in (host, other)):
                raise Stop(
                    f"port {port} can't be both the panel's and that of tenants' domains",
                    "Give each an address of its own, or domains other ports: --domains-ports 8081,8444",
                )


def _only(known: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in known.items() if key in keys}


def _set(wanted: dict[str, Any], key: str, value: Any) -> None:
    """An empty value isn't kept."""
    wanted.pop(key, None)
    if value:
        wanted[key] = value


def _listed(texts: Sequence[str]) -> list[str]:
    """What was said by several options or with commas; `none` alone empties."""
    found = [one.strip() for text in texts for one in text.split(",") if one.strip()]
    return [] if found == [_NONE] else list(dict.fromkeys(found))


def _made(wanted: dict[str, Any]) -> Front:
    """With what the environment variables of the same meaning say."""
    names = (_name(one) for one in _listed([os.environ.get("WADAH_EXTRA_HOSTS", "")]))
    proxies = _proxies(_listed([os.environ.get("WADAH_TRUSTED_PROXIES", "")]))
    made = _placed_at(wanted)
    http, tls = wanted.get("domains_ports", (80, 443))
    made = replace(made, domains=tuple(wanted.get("domains", ())), domains_ports=(http, tls))
    _refuse_both(made)
    return replace(
        made,
        names=tuple(dict.fromkeys([*wanted.get("names", []), *names])),
        proxies=tuple(dict.fromkeys([*wanted.get("proxies", []), *proxies])),
        ssh=wanted.get("ssh", ""),
    )


def _placed_at(wanted: dict[str, Any]) -> Front:
    if "domain" in wanted:
        return Front(url=f"https://{wanted['domain']}")
    if "listen" in wanted:
        address = str(wanted["listen"])
        own = f"https://{bracketed(address)}:{wanted.get('port', DEFAULT_TLS_PORT)}"
        return Front(url=wanted.get("url", own), own=own, bind=(address,), internal_tls=True)
    own = f"http://127.0.0.1:{wanted.get('port', DEFAULT_PORT)}"
    return Front(url=wanted.get("url", own), own=own, bind=_loopback())


def bracketed(address: str) -> str:
    """As in a URL."""
    return f"[{address}]" if ":" in address else address


def _loopback() -> tuple[str, ...]:
    """The addresses of loopback that this machine has: `localhost` may mean either."""
    found = []
    for address in _LOOPBACK:
        with suppress(OSError), socket.socket(_family(address)) as probe:
            probe.bind((address, 0))
            found.append(address)
    return tuple(found)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address or not address else socket.AF_INET


def _domain(text: str) -> str:
    name = text.lower().rstrip(".")
    if len(name) > 253 or not _DOMAIN.match(name):
        raise Stop(f"--domain is a host name such as panel.example.org, not “{text}”")
    return name


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """As it is listened on: an IPv4 address in an IPv6 one is that IPv4 address. Raises `ValueError`,
    also for one with a zone (`fe80::1%eth0`): no browser asks for one, and a zone may be any text."""
    if "%" in text:
        raise ValueError("an address with a zone")
    address = ipaddress.ip_address(text.strip("[]"))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _name(text: str) -> str:
    """A name or an address, as in the header `Host`."""
    name = text.lower().rstrip(".")
    with suppress(ValueError):
        return bracketed(str(_ip(name)))
    if len(name) > 253 or not _NAME.match(name):
        raise Stop(f"--name is a host name or an address such as panel.example.org, not “{text}”")
    return name


def _address(text: str) -> str:
    try:
        address = _ip(text)
    except ValueError:
        raise Stop(
            f"--listen is an IP address of this machine such as 192.0.2.10, not “{text}”",
            "`ip -brief address` lists them; --domain takes a name.",
        ) from None
    if address.is_unspecified or address.is_multicast:
        raise Stop(
            f"--listen is one address, which browsers then ask for: {text} is none",
            "`ip -brief address` lists them; --domain listens on all of them.",
        )
    return str(address)


def _network(text: str) -> str:
    try:
        network = _ip_network(text)
    except ValueError:
        raise Stop(
            f"--proxy is an address or a network such as 192.0.2.5 or 10.0.0.0/24, not “{text}”",
            "It is where the proxy's connections come from: 127.0.0.1 for one on this machine.",
        ) from None
    if network.prefixlen == 0:
        raise Stop(f"--proxy {text} would believe everybody", "Name the addresses of the proxy.")
    return str(network)


def _ip_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """As `_ip`: clients with an IPv4 address are known by that one."""
    if "%" in text:
        raise ValueError("a network with a zone")
    network = ipaddress.ip_network(text.strip("[]"), strict=False)
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    return ipaddress.ip_network((int(mapped), network.prefixlen - 96)) if mapped else network


def _proxies(texts: Sequence[str]) -> list[str]:
    """Networks that may be everybody together are refused as one that is."""
    said = [_network(one) for one in texts]
    networks = [ipaddress.ip_network(one) for one in said]
    ipv4 = [one for one in networks if isinstance(one, ipaddress.IPv4Network)]
    ipv6 = [one for one in networks if isinstance(one, ipaddress.IPv6Network)]
    lengths = [one.prefixlen for one in ipaddress.collapse_addresses(ipv4)]
    lengths += [one.prefixlen for one in ipaddress.collapse_addresses(ipv6)]
    if 0 in lengths:
        raise Stop(f"--proxy {','.join(texts)} would believe everybody", "Name the addresses of the proxy.")
    return said


def _domains(texts: Sequence[str]) -> list[str]:
    """Addresses to listen on for tenants' domains."""
    if "all" in texts or ALL in texts:
        return [ALL]
    found = []
    for text in texts:
        try:
            address = _ip(text)
        except ValueError:
            raise Stop(
                f"--domains is `all`, or addresses of this machine such as 192.0.2.11, not “{text}”",
                "It is where names of tenants are served; each name is added in the panel.",
            ) from None
        if address.is_unspecified or address.is_multicast:
            raise Stop(f"--domains {text} is no address of this machine", "Say `all` for every one.")
        found.append(str(address))
    return found


def _two_ports(text: str) -> list[int]:
    words = text.split(",")
    if len(words) != 2 or not all(one.isascii() and one.isdigit() for one in words) or words[0] == words[1]:
        raise Stop(f"--domains-ports is two ports, without TLS and with it, such as 80,443, not “{text}”")
    return [_port(int(one)) for one in words]


def _url(text: str) -> str:
    """Scheme, name and, where it isn't the scheme's own, port."""
    wrong = Stop(f"--url is an address such as https://panel.example.org, not “{text}”")
    try:
        parts = urlsplit(text)
        port, host = parts.port, (parts.hostname or "")
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None or port == 0:
        raise wrong
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise Stop(f"--url has no path: “{text}”", "The panel needs a name of its own, such as a sub-domain.")
    try:
        name = _name(host)
    except Stop:
        raise wrong from None
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{name}" + (f":{port}" if port not in (None, usual) else "")


def _port(value: object) -> int:
    if not isinstance(value, int) or not 1 <= int(value) <= 65535 or isinstance(value, bool):
        raise Stop(f"--port is a number from 1 to 65535, not {value}")
    return value


#: How each kept setting is read.
_KEPT: dict[str, Callable[[Any], Any]] = {
    "port": _port,
    "domain": _domain,
    "listen": _address,
    "url": _url,
    "names": lambda texts: [_name(one) for one in _several(texts)],
    "proxies": lambda texts: _proxies(_several(texts)),
    "domains": lambda texts: _domains(_several(texts)),
    "domains_ports": lambda ports: _two_ports(",".join(map(str, ports))),
    "ssh": _ssh,
}


def _several(texts: object) -> list[str]:
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise TypeError
    return texts

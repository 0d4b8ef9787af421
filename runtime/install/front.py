"""Where browsers find the panel: what the options of `up` say, kept in HOME/front.json from then on."""

import errno
import ipaddress
import json
import re
import socket
from dataclasses import dataclass

from runtime.install.layout import Layout
from runtime.install.say import Stop

DEFAULT_PORT, DEFAULT_TLS_PORT = 8080, 8443
#: RFC 1123 labels, at least two.
_DOMAIN = re.compile(r"^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$")
#: Below, only root or a process with CAP_NET_BIND_SERVICE may listen (ip(7)).
_FIRST_FREE_PORT = 1024


@dataclass(frozen=True)
class Front:
    url: str
    """As people type it."""
    site: str
    """As Caddy's site address."""
    internal_tls: bool = False

    @property
    def has_low_port(self) -> bool:
        """Whether it listens on a port that only root may bind."""
        return any(port < _FIRST_FREE_PORT for _, port in self.listening)

    @property
    def listening(self) -> list[tuple[str, int]]:
        """Addresses and ports; a domain listens everywhere on the ports of HTTP and HTTPS."""
        scheme, _, rest = self.url.partition("://")
        host, found, port = rest.rpartition(":")
        if not found or not port.isdigit():
            return [("", 80), ("", 443)] if scheme == "https" else [(rest, 80)]
        return [(host.strip("[]"), int(port))]


def front_of(
    layout: Layout,
    port: int | None = None,
    domain: str | None = None,
    listen: str | None = None,
    *,
    local: bool = False,
) -> Front:
    """From the options, else from the last time, else http on loopback. Writes nothing; raises `Stop` for
    an option that can't be."""
    return _made(_wanted(layout, port, domain, listen, local))


def keep(
    layout: Layout,
    port: int | None = None,
    domain: str | None = None,
    listen: str | None = None,
    *,
    local: bool = False,
) -> None:
    """What `front_of` is asked without options from now on."""
    wanted = _wanted(layout, port, domain, listen, local)
    if wanted != _known(layout):
        layout.settings_file.write_text(json.dumps(wanted))


def check_free(front: Front) -> None:
    """Raises `Stop` when it can't listen there."""
    for host, port in front.listening:
        family = socket.AF_INET6 if ":" in host or not host else socket.AF_INET
        with socket.socket(family) as probe:
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


def _known(layout: Layout) -> dict[str, str | int]:
    try:
        known: dict[str, str | int] = json.loads(layout.settings_file.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return known


def _wanted(
    layout: Layout, port: int | None, domain: str | None, listen: str | None, local: bool
) -> dict[str, str | int]:
    """The kept settings with the given ones in their place; the three ways exclude each other."""
    if sum((domain is not None, listen is not None, local)) > 1:
        raise Stop("only one of --domain, --listen and --local can be")
    wanted = _known(layout)
    if domain is not None:
        if port is not None:
            raise Stop("a domain is served on the ports 80 and 443: leave --port out")
        wanted = {"domain": _domain(domain)}
    elif listen is not None:
        wanted = {key: value for key, value in wanted.items() if key == "port"} | {"listen": _address(listen)}
    elif local:
        wanted = {}
    if port is not None:
        if "domain" in wanted:
            raise Stop("this panel has a domain, which is served on the ports 80 and 443", "Add --local.")
        wanted["port"] = port
    if not 1 <= int(wanted.get("port", DEFAULT_PORT)) <= 65535:
        raise Stop(f"--port is a number from 1 to 65535, not {wanted['port']}")
    return wanted


def _made(wanted: dict[str, str | int]) -> Front:
    if "domain" in wanted:
        return Front(url=f"https://{wanted['domain']}", site=str(wanted["domain"]))
    if "listen" in wanted:
        address = str(wanted["listen"])
        host = f"[{address}]" if ":" in address else address
        url = f"https://{host}:{wanted.get('port', DEFAULT_TLS_PORT)}"
        return Front(url=url, site=url, internal_tls=True)
    url = f"http://127.0.0.1:{wanted.get('port', DEFAULT_PORT)}"
    return Front(url=url, site=url)


def _domain(text: str) -> str:
    name = text.lower().rstrip(".")
    if len(name) > 253 or not _DOMAIN.match(name):
        raise Stop(f"--domain is a host name such as panel.example.org, not “{text}”")
    return name


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise Stop(
            f"--listen is an IP address of this machine such as 192.0.2.10, not “{text}”",
            "`ip -brief address` lists them; --domain takes a name.",
        ) from None

"""How an environment is reached from outside: through the ports of its node that lead inside."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings

from panel.environments.models import Environment
from panel.networks.models import PortForward
from panel.nodes.models import Node

_SSH, _HTTP, _HTTPS = 22, 80, 443


@dataclass(frozen=True)
class Way:
    """What works from where its reader is: a command, or an address to open."""

    text: str
    port: int
    """Inside."""
    is_link: bool = False
    description: str = ""


def public_address(node: Node) -> str:
    """Under which name or address people reach the node: what its administrator said, else the panel's own when
    that is no loopback. Empty: nobody has said."""
    if node.public_address:
        return node.public_address
    host = urlsplit(settings.WADAH.url).hostname or ""
    return "" if _is_loopback(host) else host


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("", "localhost")


def ways(environment: Environment, forwards: list[PortForward]) -> list[Way]:
    """One for each forward, SSH first; none while the node's address isn't known."""
    host = public_address(environment.node)
    if not host:
        return []
    found = [_way(host, one) for one in forwards]
    return sorted(found, key=lambda way: (way.port != _SSH, way.port))


def _way(host: str, forward: PortForward) -> Way:
    in_url = f"[{host}]" if ":" in host else host
    if forward.protocol == "tcp" and forward.port == _SSH:
        return Way(f"ssh -p {forward.node_port} root@{host}", _SSH, description=forward.description)
    if forward.protocol == "tcp" and forward.port in (_HTTP, _HTTPS):
        scheme = "https" if forward.port == _HTTPS else "http"
        return Way(f"{scheme}://{in_url}:{forward.node_port}/", forward.port, True, forward.description)
    return Way(
        f"{forward.protocol} {in_url}:{forward.node_port}", forward.port, description=forward.description
    )

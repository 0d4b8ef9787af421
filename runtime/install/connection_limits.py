"""How many connections one client may hold at the front: the kernel counts, in a table of the installation's.

The front itself has no such bound, and 20 s of patience with each half-sent request. So a single machine that
opens as many as the front's process may hold would keep everybody else out.
"""

import hashlib
import ipaddress
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from runtime.install.front import ALL, Front
from runtime.install.layout import Layout
from runtime.install.output import Stop

#: A browser opens six, and one for each socket of a page; behind one address many people may sit.
DEFAULT = 256
#: Addresses that are counted at once, so that the table can't grow; one more isn't counted.
_ADDRESSES = 65_536
_TIMEOUT_S = 20


def most() -> int:
    """`WADAH_CLIENT_CONNECTIONS`; 0: no bound. Raises `Stop` for what is no number."""
    text = os.environ.get("WADAH_CLIENT_CONNECTIONS") or str(DEFAULT)
    if not text.isascii() or not text.isdigit() or int(text) > 1_000_000:
        raise Stop("WADAH_CLIENT_CONNECTIONS is a number of connections, or 0 for any number")
    return int(text)


def file_of(layout: Layout) -> Path:
    return layout.etc / "front.nft"


def table_of(layout: Layout) -> str:
    return f"wadah_front_{hashlib.sha256(os.fsencode(layout.home)).hexdigest()[:12]}"


def rules(table: str, front: Front, limit: int) -> str:
    """As nft(8) reads it; nothing but the table's end where there is nothing to bound.

    Clients on the machine itself come by `lo`, and so does what SSH brings: they all have one address. A client
    is an address, of IPv6 its /64; a named proxy speaks for many and is spared.
    """
    gone = f"table inet {table}\ndelete table inet {table}\n"
    bounded = {} if front.is_local else dict.fromkeys(front.ports)
    if any(not _is_loopback(one) for one in front.domains):
        bounded |= dict.fromkeys(front.domains_ports)
    if not bounded or not limit:
        return gone
    ports = ", ".join(str(port) for port in sorted(bounded))
    spared = "".join(
        f"    {family} saddr {{ {', '.join(some)} }} accept\n" for family, some in _proxies(front.proxies)
    )
    return f"""{gone}table inet {table} {{
  set clients4 {{ type ipv4_addr; size {_ADDRESSES}; flags dynamic; }}
  set clients6 {{ type ipv6_addr; size {_ADDRESSES}; flags dynamic; }}
  chain arrival {{
    type filter hook input priority filter; policy accept;
    iif != lo tcp dport {{ {ports} }} ct state new jump client
  }}
  chain client {{
{spared}    add @clients4 {{ ip saddr ct count over {limit} }} reject with tcp reset
    add @clients6 {{ ip6 saddr & ffff:ffff:ffff:ffff:: ct count over {limit} }} reject with tcp reset
  }}
}}
"""


def _is_loopback(address: str) -> bool:
    return address != ALL and ipaddress.ip_address(address).is_loopback


def _proxies(networks: Sequence[str]) -> list[tuple[str, list[str]]]:
    found = [ipaddress.ip_network(one, strict=False) for one in networks]
    families = {"ip": 4, "ip6": 6}
    sorted_ = [
        (name, [str(one) for one in found if one.version == number]) for name, number in families.items()
    ]
    return [(name, some) for name, some in sorted_ if some]


def bound(layout: Layout) -> str:
    """Loads what was written for this installation. What is wrong, as a sentence; empty when nothing is."""
    return _nft("-f", str(file_of(layout))) if file_of(layout).exists() else ""


def unbind(layout: Layout) -> None:
    """Takes the table away; a no-op when there is none."""
    table = table_of(layout)
    _nft(f"table inet {table}; delete table inet {table}")


def _nft(*words: str) -> str:
    command = ["nft", *words]
    path = {**os.environ, "PATH": "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env=path,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"connections of one client aren't bounded: {error}"
    said = done.stderr.strip().partition("\n")[0]
    return f"connections of one client aren't bounded: {said}" if done.returncode else ""

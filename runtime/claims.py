"""Which installations this machine has, so that a new one takes what no other has: its mark, its block of user
ids (and with it ports for forwards), its private networks. What was chosen stands in its node.json and stays.

The record is a directory with a link to each HOME. One whose HOME is gone counts no more.
"""

import fcntl
import hashlib
import os
import pwd
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import TypeVar

from pyroute2 import IPRoute

from runtime.contract.said import plain
from runtime.errors import HostLacks
from runtime.node import (
    FIRST_UID,
    IDS_PER_SLOT,
    SMALL_BLOCK,
    SMALL_BLOCKS,
    SMALL_BLOCKS_FROM,
    Node,
    NodeSettings,
    default_settings,
)

DIRECTORY = Path("/var/lib/wadah-installations")
SUBORDINATE = (Path("/etc/subuid"), Path("/etc/subgid"))

#: Where private networks are drawn from: 10.16.0.0 to 10.127.255.255, without what k3s, Podman and Kubernetes
#: take by default. Below and above lie networks of clouds and VPNs.
_DRAWN_FROM = (IPv4Network("10.16.0.0/12"), IPv4Network("10.32.0.0/11"), IPv4Network("10.64.0.0/10"))
_OF_OTHERS = (IPv4Network("10.42.0.0/15"), IPv4Network("10.88.0.0/15"), IPv4Network("10.96.0.0/12"))
#: 16,382 addresses: four for each environment that a node can have.
_LENGTH, _FEWEST_ADDRESSES = 18, 16
#: Prefixes of networks that a person gives: 10.0.0.0/8 is the largest private one.
_WIDEST = {4: 8, 6: 32}
#: Of a node.json.
_LARGEST_BYTES = 2**20

N = TypeVar("N", IPv4Network, IPv6Network)


@contextmanager
def choosing(
    home: Path, ipv4: IPv4Network | None = None, ipv6: IPv6Network | None = None
) -> Iterator[NodeSettings]:
    """Settings for a new node in `home`, with these networks where they are given; whoever else chooses waits
    until the body has written them down. Raises `HostLacks` when no private network is free."""
    with _alone():
        others = list(_others(home))
        for network in (ipv4, ipv6):
            _check(network, others)
        start = default_settings(home)
        update: dict[str, object] = {
            "ipv4_network": ipv4 or _draw_ipv4([one.ipv4_network for one in others if one.ipv4_network]),
            "ipv6_network": ipv6 or _draw_ipv6(),
        }
        if start.mark:
            mark = _free_mark(home, start.mark, {one.mark for one in others})
            update |= {"mark": mark, "name": f"node-{mark}"}
            update["first_slot"] = _free_block(start.first_slot, others)
        _record(home)
        yield start.model_copy(update=update)


def note(home: Path) -> None:
    """An installation of before is known from now on; a no-op when it is."""
    if not _link(home).is_symlink():
        with _alone():
            _record(home)


def forget(home: Path) -> None:
    """With the last one the record goes."""
    _link(home).unlink(missing_ok=True)
    with suppress(OSError):
        DIRECTORY.rmdir()


def network_of(text: str, kind: type[N]) -> N | None:
    """As a person writes it; None for nothing. Raises `HostLacks` where it is none, or too small."""
    if not text:
        return None
    try:
        network = kind(text)
    except ValueError as error:
        raise HostLacks(plain(f"{text[:60]} is no network that environments can have: {error}")) from error
    if network.num_addresses < _FEWEST_ADDRESSES:
        raise HostLacks(plain(f"{network} has room for fewer than {_FEWEST_ADDRESSES} addresses"))
    return network


def _check(network: IPv4Network | IPv6Network | None, others: list[NodeSettings]) -> None:
    """Of one that a person gave. Routes of the machine may lie around it; one of its own addresses would
    be given to an environment some day. Raises `HostLacks`."""
    wrong = _wrong(network, others) if network is not None else ""
    if wrong:
        raise HostLacks(
            plain(f"{network} {wrong}"),
            next_step=plain("Name another, or none: a free one is drawn."),
        )


def _wrong(network: IPv4Network | IPv6Network, others: list[NodeSettings]) -> str:
    if network.prefixlen < _WIDEST[network.version]:
        return f"is too wide: at most a /{_WIDEST[network.version]}"
    if network.is_loopback or network.is_multicast or network.is_link_local or network.is_unspecified:
        return "is for other things than environments"
    if any(_overlaps(network, one) for other in others for one in (other.ipv4_network, other.ipv6_network)):
        return "overlaps with that of another installation of this machine"
    if any(address in network for address in _own_addresses()):
        return "holds an address of this machine"
    return ""


def _overlaps(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network | None) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


def sharing(node: Node) -> list[Path]:
    """Installations of this machine whose user ids overlap with this node's; for `doctor`."""
    mine = node.settings
    return [home for home, other in _recorded() if home != node.home and _overlap(mine, other)]


@contextmanager
def _alone() -> Iterator[None]:
    """Waits until nobody else of this machine chooses."""
    while True:
        DIRECTORY.mkdir(mode=0o755, parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            fd = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                if _is_there(fd):  # else the last one has taken it away meanwhile
                    yield
                    return
            finally:
                os.close(fd)


def _is_there(fd: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), DIRECTORY.stat())
    return False


def _link(home: Path) -> Path:
    return DIRECTORY / hashlib.sha256(os.fsencode(home)).hexdigest()[:16]


def _record(home: Path) -> None:
    with suppress(FileExistsError):
        _link(home).symlink_to(home)


def _recorded() -> Iterator[tuple[Path, NodeSettings]]:
    with suppress(FileNotFoundError):
        for link in DIRECTORY.iterdir():
            with suppress(OSError, ValueError):
                home = link.readlink()
                if (settings := _settings_of(home)) is not None:
                    yield home, settings


def _settings_of(home: Path) -> NodeSettings | None:
    """Of an installation that root made; None of anything else. A HOME below /tmp that is gone is a name that
    any user may take: nothing of his is believed, waited for (a fifo) or read without an end."""
    with suppress(OSError):
        fd = os.open(home / "node" / "node.json", os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            seen = os.fstat(fd)
            above = ((home / "node").lstat(), home.lstat())
            of_root = all(one.st_uid in (0, os.geteuid()) for one in (seen, *above))
            if of_root and stat.S_ISREG(seen.st_mode) and seen.st_size <= _LARGEST_BYTES:
                return NodeSettings.model_validate_json(file.read(_LARGEST_BYTES))
    return None


def _others(home: Path) -> Iterator[NodeSettings]:
    for other, settings in _recorded():
        if other != home:
            yield settings


def _free_mark(home: Path, first: str, taken: set[str]) -> str:
    """By the hash of HOME; of two with one hash the second takes the next."""
    marks = (f"{(int(first, 16) + step) % 4096:03x}" for step in range(4096))
    return next((one for one in marks if one not in taken), first)


def _overlap(one: NodeSettings, other: NodeSettings) -> bool:
    return one.first_slot < other.first_slot + other.slots and other.first_slot < one.first_slot + one.slots


def _free_block(first: int, others: Iterable[NodeSettings]) -> int:
    """The block that the hash of HOME says, or the next that nobody has; when all are somebody's, the one that
    the fewest have."""
    taken = [range(one.first_slot, one.first_slot + one.slots) for one in others]
    taken += [range(_slot(low), _slot(high) + 1) for low, high in _foreign()]
    number = (first - SMALL_BLOCKS_FROM) // SMALL_BLOCK
    blocks = [
        SMALL_BLOCKS_FROM + SMALL_BLOCK * ((number + step) % SMALL_BLOCKS) for step in range(SMALL_BLOCKS)
    ]
    return min(blocks, key=lambda at: sum(_meets(range(at, at + SMALL_BLOCK), one) for one in taken))


def _slot(user: int) -> int:
    return (user - FIRST_UID) // IDS_PER_SLOT


def _meets(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _foreign() -> Iterator[tuple[int, int]]:
    """First and last id of each user of the machine, and of each range that is promised to one."""
    for user in pwd.getpwall():
        yield user.pw_uid, user.pw_uid
    for file in SUBORDINATE:
        with suppress(OSError):
            for line in file.read_text().splitlines():
                with suppress(ValueError):
                    _, start, count = line.split(":")
                    yield int(start), int(start) + int(count) - 1


def _draw_ipv4(taken: list[IPv4Network]) -> IPv4Network:
    """One that overlaps with no address, no route and no other installation of this machine."""
    taken = [*taken, *_OF_OTHERS, *_in_use()]
    all_of_them = [one for block in _DRAWN_FROM for one in block.subnets(new_prefix=_LENGTH)]
    free = [one for one in all_of_them if not any(one.overlaps(other) for other in taken)]
    if not free:
        raise HostLacks(
            plain("no private network of 10.16.0.0 to 10.127.255.255 is free on this machine"),
            next_step=plain("Say which one environments may have: ./wadah up --ipv4-network NETWORK"),
        )
    return secrets.choice(free)


def _in_use() -> Iterator[IPv4Network]:
    """Networks of the machine's addresses and routes; not the default route."""
    with IPRoute() as ip:
        for one in ip.get_addr(family=2):
            yield IPv4Network(f"{one.get_attr('IFA_ADDRESS')}/{one['prefixlen']}", strict=False)
        for one in ip.get_routes(family=2):
            if one["dst_len"]:
                yield IPv4Network(f"{one.get_attr('RTA_DST')}/{one['dst_len']}", strict=False)


def _own_addresses() -> Iterator[IPv4Address | IPv6Address]:
    with IPRoute() as ip:
        for one in ip.get_addr():
            yield ip_address(one.get_attr("IFA_ADDRESS"))


def _draw_ipv6() -> IPv6Network:
    """A unique local network (RFC 4193, 3.2): 40 random bits, the first subnet."""
    prefix = b"\xfd" + secrets.token_bytes(5) + bytes(10)
    return IPv6Network((prefix, 64))

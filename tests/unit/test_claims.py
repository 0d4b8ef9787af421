"""Installations of one machine have nothing in common: marks, user ids, networks, ports of forwards."""

import os
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import combinations
from pathlib import Path

import pytest

from runtime import claims
from runtime.errors import HostLacks
from runtime.node import DEFAULT_HOME, FIRST_UID, IDS_PER_SLOT, Node, NodeSettings, default_settings


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A record of its own, and nobody's routes."""
    monkeypatch.setattr(claims, "DIRECTORY", tmp_path / "installations")
    monkeypatch.setattr(claims, "SUBORDINATE", ())
    monkeypatch.setattr(claims, "_in_use", lambda: iter(()))
    monkeypatch.setattr(
        claims, "_own_addresses", lambda: iter([IPv4Address("192.168.9.1"), IPv6Address("fd09::1")])
    )
    yield


def _install(home: Path, **fields: IPv4Network | IPv6Network) -> Node:
    with claims.choosing(home, fields.get("ipv4"), fields.get("ipv6")) as settings:  # type: ignore[arg-type]
        (home / "node").mkdir(parents=True)
        (home / "node" / "node.json").write_text(settings.model_dump_json())
    return Node.load(home)


def test_fifteen_have_nothing_in_common(tmp_path: Path) -> None:
    nodes = [_install(tmp_path / f"home-{number}") for number in range(15)]
    for one, other in combinations(nodes, 2):
        mine, theirs = one.settings, other.settings
        assert mine.mark != theirs.mark
        assert abs(mine.first_slot - theirs.first_slot) >= 136
        assert mine.ipv4_network is not None
        assert theirs.ipv4_network is not None
        assert not mine.ipv4_network.overlaps(theirs.ipv4_network)
        assert mine.ipv6_network != theirs.ipv6_network
        assert not set(range(*one.forward_ports)) & set(other.forward_ports)
    assert not any(claims.sharing(one) for one in nodes)


def test_the_sixteenth_shares_and_knows_with_whom(tmp_path: Path) -> None:
    for number in range(15):
        _install(tmp_path / f"home-{number}")
    assert len(claims.sharing(_install(tmp_path / "one-more"))) == 1


def test_what_is_gone_counts_no_more(tmp_path: Path) -> None:
    first = _install(tmp_path / "a")
    (first.home / "node" / "node.json").unlink()
    claims.forget(first.home)
    assert not claims.DIRECTORY.exists()
    assert _install(tmp_path / "b").settings.mark


def test_one_of_before_is_known_when_it_comes_up_again(tmp_path: Path) -> None:
    old = _install(tmp_path / "a")
    claims.forget(old.home)
    claims.note(old.home)
    claims.note(old.home)
    assert [home for home, _ in claims._recorded()] == [old.home]


def test_ids_that_are_promised_to_users_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subuid = tmp_path / "subuid"
    subuid.write_text(f"bob:{FIRST_UID + 2048 * IDS_PER_SLOT}:{14 * 136 * IDS_PER_SLOT}\nnonsense\n")
    monkeypatch.setattr(claims, "SUBORDINATE", (subuid,))
    assert _install(tmp_path / "a").settings.first_slot == 2048 + 14 * 136


def test_networks_of_the_machine_and_of_known_programs_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = [IPv4Network("10.16.0.0/12"), IPv4Network("10.32.0.0/11"), IPv4Network("10.65.0.0/16")]
    here += [IPv4Network(f"10.{second}.0.0/16") for second in range(66, 128)]
    monkeypatch.setattr(claims, "_in_use", lambda: iter(here))
    network = _install(tmp_path / "a").settings.ipv4_network
    assert network is not None
    assert network.subnet_of(IPv4Network("10.64.0.0/16"))
    monkeypatch.setattr(claims, "_in_use", lambda: iter([IPv4Network("10.0.0.0/8")]))
    with pytest.raises(HostLacks, match="no private network"):
        _install(tmp_path / "b")
    chosen = _install(tmp_path / "c", ipv4=IPv4Network("192.168.7.0/24"))
    assert chosen.settings.ipv4_network == IPv4Network("192.168.7.0/24")


def test_an_ipv6_network_is_unique_and_local(tmp_path: Path) -> None:
    network = _install(tmp_path / "a").settings.ipv6_network
    assert network is not None
    assert network.prefixlen == 64
    assert network.subnet_of(IPv6Network("fd00::/8"))
    assert network.network_address.packed[6:] == bytes(10)


def test_the_default_installation_has_no_mark_and_the_first_block() -> None:
    with claims.choosing(DEFAULT_HOME) as settings:
        assert isinstance(settings, NodeSettings)
        assert (settings.mark, settings.first_slot, settings.slots) == ("", 0, 2048)


@pytest.mark.parametrize("text", ["10.0.0.0", "10.0.0.1/24", "x", "fd00::/64", "10.0.0.0/29", "10.0.0.0/33"])
def test_a_network_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(HostLacks):
        claims.network_of(text, IPv4Network)


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "said"),
    [
        ("192.168.8.0/24", None, "of another installation"),
        ("192.168.0.0/16", None, "of another installation"),
        (None, "fd08::/80", "of another installation"),
        ("192.168.9.0/28", None, "an address of this machine"),
        (None, "fd09::/64", "an address of this machine"),
        ("127.0.0.0/8", None, "for other things"),
        ("224.0.0.0/8", None, "for other things"),
        ("169.254.0.0/16", None, "for other things"),
        ("0.0.0.0/0", None, "too wide"),
        (None, "::/0", "too wide"),
        (None, "fe80::/64", "for other things"),
    ],
)
def test_a_network_that_a_person_gives_is_nobodys_yet(
    tmp_path: Path, ipv4: str | None, ipv6: str | None, said: str
) -> None:
    _install(tmp_path / "first", ipv4=IPv4Network("192.168.8.0/24"), ipv6=IPv6Network("fd08::/64"))
    given = (IPv4Network(ipv4) if ipv4 else None, IPv6Network(ipv6) if ipv6 else None)
    with pytest.raises(HostLacks, match=said), claims.choosing(tmp_path / "second", *given):
        pass
    assert [home for home, _ in claims._recorded()] == [tmp_path / "first"]


def _fifo(file: Path) -> None:
    os.mkfifo(file)


def _endless(file: Path) -> None:
    file.symlink_to("/dev/zero")


def _huge(file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(2**40)


def _of_another(file: Path) -> None:
    file.write_text(default_settings(DEFAULT_HOME).model_dump_json())
    os.chown(file, 65534, 65534)


@pytest.mark.parametrize("plant", [_fifo, _endless, _huge, _of_another])
def test_what_a_user_puts_where_an_installation_was_is_neither_believed_nor_waited_for(
    tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    if plant is _of_another and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    gone = _install(tmp_path / "gone").home
    (gone / "node" / "node.json").unlink()
    plant(gone / "node" / "node.json")
    _install(tmp_path / "new")
    assert [home for home, _ in claims._recorded()] == [tmp_path / "new"]

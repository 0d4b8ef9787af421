"""Installations of one machine have nothing in common: marks, user ids, networks, ports of forwards."""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from itertools import combinations
from pathlib import Path

import pytest

from runtime import claims
from runtime.errors import HostLacks
from runtime.node import DEFAULT_HOME, FIRST_UID, IDS_PER_SLOT, Node, NodeSettings


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A record of its own, and nobody's routes."""
    monkeypatch.setattr(claims, "DIRECTORY", tmp_path / "installations")
    monkeypatch.setattr(claims, "SUBORDINATE", ())
    monkeypatch.setattr(claims, "_in_use", lambda: iter(()))
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

"""Who the client is: the connection's address, or what a proxy says that the operator named."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from panel.access.auth import is_within
from panel.config.env import PanelEnv
from panel.http.client import block_of, client_address, client_of_scope, is_of_this_machine

CLIENT, PROXY, OUTER = "192.0.2.66", "198.51.100.9", "203.0.113.200"


@contextmanager
def _proxies(text: str) -> Iterator[None]:
    with override_settings(WADAH=settings.WADAH.model_copy(update={"trusted_proxies": text})):
        yield


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("", CLIENT, CLIENT),  # the front, on its socket
        ("", f"203.0.113.1, {CLIENT}", CLIENT),  # whatever the client said himself
        ("", f"10.0.0.1,::1,127.0.0.1, {CLIENT}", CLIENT),
        ("", "", ""),
        ("", "nonsense", ""),
        ("", f"{CLIENT}, nonsense", ""),
        ("", "[2001:db8::1]:4711", "2001:db8::1"),
        ("", f"{CLIENT}:4711", CLIENT),
        ("", f"::ffff:{CLIENT}", CLIENT),
        (CLIENT, "203.0.113.1", CLIENT),  # not through the front
        ("127.0.0.1", "203.0.113.1", "127.0.0.1"),
        ("::1", "203.0.113.1", "::1"),
    ],
)
def test_without_a_named_proxy(peer: str, forwarded: str, address: str) -> None:
    assert client_address({"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}) == address
    scope: dict[str, Any] = {"client": (peer, 1) if peer else None}
    scope["headers"] = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    assert client_of_scope(scope) == address


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (f"{CLIENT}, {PROXY}", CLIENT),
        (f"10.9.9.9, {CLIENT}, {PROXY}", CLIENT),
        (f"{CLIENT}, {OUTER}, {PROXY}", CLIENT),
        (f"{CLIENT}, 10.9.9.9, {PROXY}", "10.9.9.9"),  # nobody named that one
        (f"{PROXY}", PROXY),
        (f"nonsense, {PROXY}", PROXY),
        (f"10.9.9.9, {CLIENT}", CLIENT),  # not by the proxy
        (", ".join([CLIENT, *[PROXY] * 40]), PROXY),
    ],
)
def test_through_named_proxies(forwarded: str, address: str) -> None:
    with _proxies(f"{PROXY}/32, 203.0.113.0/24"):
        assert client_address({"HTTP_X_FORWARDED_FOR": forwarded}) == address
        half = forwarded.rpartition(",")
        lines = [(b"x-forwarded-for", part.encode()) for part in (half[0], half[2]) if part]
        assert client_of_scope({"client": None, "headers": lines}) == address


def test_a_header_with_underscores_is_none_of_a_socket() -> None:
    lines = [(b"x_forwarded_for", CLIENT.encode()), (b"x-forwarded-for", OUTER.encode())]
    assert client_of_scope({"client": None, "headers": lines}) == OUTER


def test_a_token_bound_to_a_network_is_not_opened_by_hearsay() -> None:
    said = {"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": f"{CLIENT}, {OUTER}"}
    assert not is_within(client_address(said), ["192.0.2.0/24"])
    with _proxies(OUTER):
        assert is_within(client_address(said), ["192.0.2.0/24"])


def test_one_client_is_one_block() -> None:
    assert block_of("2001:db8:1:2::1") == block_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert block_of("2001:db8:1:3::1") != block_of("2001:db8:1:2::1")
    assert block_of(f"::ffff:{CLIENT}") == CLIENT
    assert block_of("") == block_of("nonsense") == "unknown"
    assert is_of_this_machine("127.0.0.1") and is_of_this_machine("::1") and not is_of_this_machine("")


@pytest.mark.parametrize("text", ["0.0.0.0/0", "::/0", "everybody", "10.0.0.1,x"])
def test_nobody_can_be_named_who_is_everybody(text: str) -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        PanelEnv(trusted_proxies=text)

"""--port, --domain, --listen and --local: what they mean, what is refused, and that nothing is written then."""

import socket
from pathlib import Path
from typing import Any

import pytest

from runtime.install.front import Front, check_free, front_of, keep
from runtime.install.layout import Layout
from runtime.install.say import Stop


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"port": 9000}, "http://127.0.0.1:9000"),
        ({"domain": "Panel.Example.org"}, "https://panel.example.org"),
        ({"listen": "192.0.2.10"}, "https://192.0.2.10:8443"),
        ({"listen": "192.0.2.10", "port": 443}, "https://192.0.2.10:443"),
        ({"listen": "2001:db8::1"}, "https://[2001:db8::1]:8443"),
    ],
)
def test_where_browsers_find_it(tmp_path: Path, given: dict[str, Any], url: str) -> None:
    assert front_of(Layout(tmp_path), **given).url == url


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"port": 0}, "--port is a number from 1 to 65535"),
        ({"port": 99999}, "--port is a number from 1 to 65535"),
        ({"domain": "bad domain"}, "--domain is a host name"),
        ({"domain": "localhost"}, "--domain is a host name"),
        ({"domain": "a.example", "port": 80}, "leave --port out"),
        ({"listen": "nonsense"}, "--listen is an IP address"),
        ({"listen": "192.0.2.10", "domain": "a.example"}, "only one of"),
        ({"listen": "192.0.2.10", "local": True}, "only one of"),
    ],
)
def test_what_cannot_be_is_refused_and_not_kept(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    layout = Layout(tmp_path)
    for act in (front_of, keep):
        with pytest.raises(Stop, match=said):
            act(layout, **given)
    assert list(tmp_path.iterdir()) == []


def test_it_is_kept_until_something_else_is_said(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    keep(layout, port=9000)
    assert front_of(layout).url == "http://127.0.0.1:9000"
    keep(layout, listen="192.0.2.10")
    assert front_of(layout).url == "https://192.0.2.10:9000"
    keep(layout, domain="panel.example.org")
    assert front_of(layout).url == "https://panel.example.org"
    with pytest.raises(Stop, match="has a domain"):
        front_of(layout, port=8080)
    keep(layout, local=True, port=8081)
    assert front_of(layout).url == "http://127.0.0.1:8081"


def test_a_taken_port_and_an_address_of_another_machine_are_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Stop, match=f"port {port} of 127.0.0.1 is taken"):
            check_free(Front(f"http://127.0.0.1:{port}", ""))
    check_free(Front(f"http://127.0.0.1:{port}", ""))
    with pytest.raises(Stop, match=r"nothing can listen on port 8443 of 203\.0\.113\.9"):
        check_free(Front("https://203.0.113.9:8443", ""))


@pytest.mark.parametrize(
    ("url", "low"),
    [("http://127.0.0.1:8080", False), ("https://panel.example.org", True), ("https://192.0.2.1:443", True)],
)
def test_only_a_low_port_takes_a_capability(url: str, low: bool) -> None:
    assert Front(url, "").has_low_port is low

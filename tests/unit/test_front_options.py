"""--port, --domain, --listen and --local: what they mean, what is refused, and that nothing is written then."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from runtime.install.front import Front, Wish, check_free, front_of, keep
from runtime.install.layout import Layout
from runtime.install.output import Stop


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"port": 9000}, "http://127.0.0.1:9000"),
        ({"domain": "Panel.Example.org"}, "https://panel.example.org"),
        ({"listen": "192.0.2.10"}, "https://192.0.2.10:8443"),
        ({"listen": "192.0.2.10", "port": 443}, "https://192.0.2.10:443"),
        ({"listen": "2001:db8::1"}, "https://[2001:db8::1]:8443"),
        ({"url": "https://Panel.example.org/"}, "https://panel.example.org"),
        ({"url": "https://panel.example.org:443", "port": 9000}, "https://panel.example.org"),
        ({"url": "http://panel:8000"}, "http://panel:8000"),
        ({"url": "https://panel.example.org", "listen": "192.0.2.10"}, "https://panel.example.org"),
    ],
)
def test_where_browsers_find_it(tmp_path: Path, given: dict[str, Any], url: str) -> None:
    assert front_of(Layout(tmp_path), Wish(**given)).url == url


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
        ({"listen": "0.0.0.0"}, "--listen is one address"),
        ({"listen": "::"}, "--listen is one address"),
        ({"listen": "224.0.0.1"}, "--listen is one address"),
        ({"domain": "a.example", "url": "https://b.example"}, "leave --url out"),
        ({"url": "panel.example.org"}, "--url is an address such as"),
        ({"url": "https://panel.example.org/wadah"}, "--url has no path"),
        ({"url": "https://me@panel.example.org"}, "--url is an address such as"),
        ({"url": "https://panel.example.org:99999"}, "--url is an address such as"),
        ({"url": "ftp://panel.example.org"}, "--url is an address such as"),
        ({"url": "https://a b"}, "--url is an address such as"),
        ({"names": ["a{b}"]}, "--name is a host name"),
        ({"names": ["*"]}, "--name is a host name"),
        ({"proxies": ["nginx"]}, "--proxy is an address"),
        ({"proxies": ["0.0.0.0/0"]}, "would believe everybody"),
        ({"proxies": ["::/0"]}, "would believe everybody"),
        ({"proxies": ["0.0.0.0/1", "128.0.0.0/1"]}, "would believe everybody"),
        ({"proxies": ["::ffff:0:0/96"]}, "would believe everybody"),
        ({"proxies": ["fe80::1%x y"]}, "--proxy is an address"),
        ({"listen": "::ffff:0.0.0.0"}, "--listen is one address"),
        ({"listen": "::1%x }\n respond evil"}, "--listen is an IP address"),
        ({"listen": "fe80::1%eth0"}, "--listen is an IP address"),
        ({"names": ["fe80::1%e}"]}, "--name is a host name"),
        ({"url": "https://[::1%a }]"}, "--url is an address such as"),
        ({"url": "https://panel.example.org:0"}, "--url is an address such as"),
    ],
)
def test_what_cannot_be_is_refused_and_not_kept(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    layout = Layout(tmp_path)
    for act in (front_of, keep):
        with pytest.raises(Stop, match=said):
            act(layout, Wish(**given))
    assert list(tmp_path.iterdir()) == []


def test_it_is_kept_until_something_else_is_said(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    keep(layout, Wish(port=9000))
    assert front_of(layout).url == "http://127.0.0.1:9000"
    keep(layout, Wish(listen="192.0.2.10"))
    assert front_of(layout).url == "https://192.0.2.10:9000"
    keep(layout, Wish(domain="panel.example.org"))
    assert front_of(layout).url == "https://panel.example.org"
    with pytest.raises(Stop, match="has a domain"):
        front_of(layout, Wish(port=8080))
    keep(layout, Wish(local=True, port=8081))
    assert front_of(layout).url == "http://127.0.0.1:8081"


def test_a_taken_port_and_an_address_of_another_machine_are_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Stop, match=f"port {port} of 127.0.0.1 is taken"):
            check_free(Front(f"http://127.0.0.1:{port}", bind=("127.0.0.1",)))
    check_free(Front(f"http://127.0.0.1:{port}", bind=("127.0.0.1",)))
    with pytest.raises(Stop, match=r"nothing can listen on port 8443 of 203\.0\.113\.9"):
        check_free(Front("https://203.0.113.9:8443", bind=("203.0.113.9",)))


@pytest.mark.parametrize(
    ("url", "low"),
    [("http://127.0.0.1:8080", False), ("https://panel.example.org", True), ("https://192.0.2.1:443", True)],
)
def test_only_a_low_port_takes_a_capability(url: str, low: bool) -> None:
    assert Front(url).has_low_port is low


def test_names_and_proxies_are_kept_until_they_are_taken_away(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    wish = Wish(
        url="https://panel.example.org", names=["Box, 192.0.2.7", "::2"], proxies=["10.0.0.7/24", "::1"]
    )
    keep(layout, wish)
    keep(layout, Wish(port=9000))
    front = front_of(layout)
    assert front.names == ("box", "192.0.2.7", "[::2]")
    assert front.proxies == ("10.0.0.0/24", "::1/128")
    assert front.own == "http://127.0.0.1:9000"
    assert front.is_local
    assert set(front.hosts) == {*front.names, "127.0.0.1", "localhost", "[::1]"}
    assert Front.of(json.loads(json.dumps(front.as_document()))) == front
    keep(layout, Wish(url="none", names=["none"], proxies=["none"]))
    assert front_of(layout) == front_of(Layout(tmp_path / "nothing"), Wish(port=9000))


def test_the_variables_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WADAH_EXTRA_HOSTS", "box,other.example")
    monkeypatch.setenv("WADAH_TRUSTED_PROXIES", "10.0.0.1")
    front = front_of(Layout(tmp_path), Wish(names=["box"]))
    assert front.names == ("box", "other.example")
    assert front.proxies == ("10.0.0.1/32",)
    monkeypatch.setenv("WADAH_TRUSTED_PROXIES", "everybody")
    with pytest.raises(Stop, match="--proxy is an address"):
        front_of(Layout(tmp_path))


def test_a_front_on_loopback_listens_there_and_nowhere_else(tmp_path: Path) -> None:
    listening = front_of(Layout(tmp_path)).listening
    assert ("127.0.0.1", 8080) in listening
    assert set(listening) <= {("127.0.0.1", 8080), ("::1", 8080)}
    assert front_of(Layout(tmp_path), Wish(listen="192.0.2.10")).listening == [("192.0.2.10", 8443)]
    assert front_of(Layout(tmp_path), Wish(domain="a.example")).listening == [("", 80), ("", 443)]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"listen": "::ffff:192.0.2.10"}, "192.0.2.10"),
        ({"proxies": ["::ffff:192.0.2.5"]}, "192.0.2.5/32"),
        ({"names": ["::ffff:192.0.2.7"]}, "192.0.2.7"),
    ],
)
def test_an_ipv4_address_in_an_ipv6_one_is_that_ipv4_address(
    tmp_path: Path, given: dict[str, Any], found: str
) -> None:
    front = front_of(Layout(tmp_path), Wish(**given))
    assert found in (*front.bind, *front.proxies, *front.names)


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "{",
        "null",
        "5",
        '"x"',
        '{"port": "x"}',
        '{"port": null}',
        '{"port": true}',
        '{"port": 70000}',
        '{"port": 8080.5}',
        '{"listen": 5}',
        '{"listen": "0.0.0.0"}',
        '{"domain": "a b"}',
        '{"domain": "x\\n}"}',
        '{"url": 7}',
        '{"url": "x"}',
        '{"names": 5}',
        '{"names": "abc"}',
        '{"names": ["a\\n}"]}',
        '{"proxies": ["x"]}',
        '{"proxies": ["0.0.0.0/0"]}',
    ],
)
def test_a_file_that_somebody_edited_is_read_as_strictly_as_options(tmp_path: Path, kept: str) -> None:
    layout = Layout(tmp_path)
    layout.settings_file.write_text(kept)
    with pytest.raises(Stop, match=r"front\.json can't be used"):
        front_of(layout)
    assert layout.settings_file.read_text() == kept

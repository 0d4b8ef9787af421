"""The front for tenants' domains: real clients, real TLS, in a network of its own."""

import base64
import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.domains import Stand, stand, up

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with stand(tmp_path_factory.mktemp("domains")) as made:
        made.start_front()
        made.behind("one", "127.0.0.2:8001")
        made.behind("two", "127.0.0.3:8001")
        yield made


def test_a_new_name_is_served_at_once_with_a_certificate_and_http2(front: Stand) -> None:
    assert front.get("https://new.example.test/").status == 0, "a stranger's name got a certificate"
    front.say({"new.example.test": {"upstreams": up("127.0.0.2:8001")}})
    seen = front.get("https://new.example.test/path?q=1")
    assert (seen.status, seen.version, seen.who) == (200, "2", "one")
    assert "GET /path?q=1 HTTP/1.1" in seen.body
    plain = front.get("http://new.example.test/path?q=1")
    assert plain.status == 308
    assert "location: https://new.example.test/path?q=1" in plain.headers.lower()
    front.say({})
    assert front.get("https://new.example.test/").status == 404
    assert front.get("http://other.example.test/").status == 404


def test_what_says_who_the_client_is_comes_from_the_front(front: Stand) -> None:
    front.say({"who.example.test": {"https": False, "upstreams": up("127.0.0.2:8001")}})
    names = ("X-Forwarded-For", "X_Forwarded_For", "X-Real-IP", "Forwarded")
    lies = [
        *(f"{name}: 9.9.9.9" for name in names),
        "X-Wadah-First: 127.0.0.1:22",
        "X-Forwarded-Host: evil.example",
    ]
    seen = front.get("http://who.example.test/", *(word for lie in lies for word in ("-H", lie)))
    assert seen.who == "one"
    assert "9.9.9.9" not in seen.body
    assert "127.0.0.1:22" not in seen.body
    assert "evil" not in seen.body
    assert "X-Forwarded-For: 127.0.0.1" in seen.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_bodies_come_through(front: Stand, method: str) -> None:
    front.say({"body.example.test": {"https": False, "upstreams": up("127.0.0.2:8001")}})
    seen = front.get("http://body.example.test/", "-X", method, "-d", "x" * 100)
    assert (seen.status, seen.who) == (200, "one")
    assert "Content-Length: 100" in seen.body


def test_several_behind_one_name_take_turns_and_one_that_is_gone_gets_none(front: Stand) -> None:
    front.say({"two.example.test": {"https": False, "upstreams": up("127.0.0.2:8001", "127.0.0.3:8001")}})
    assert {front.get("http://two.example.test/").who for _ in range(12)} == {"one", "two"}
    front.say({"two.example.test": {"https": False, "upstreams": up("127.0.0.2:8001", "127.0.0.9:8001")}})
    assert [front.get("http://two.example.test/").who for _ in range(6)] == ["one"] * 6


def test_one_client_stays_where_it_was(front: Stand) -> None:
    route = {"https": False, "balance": "sticky", "upstreams": up("127.0.0.2:8001", "127.0.0.3:8001")}
    front.say({"sticky.example.test": route})
    assert len({front.get("http://sticky.example.test/").who for _ in range(6)}) == 1


def test_one_that_says_it_is_ill_gets_no_requests(front: Stand) -> None:
    front.behind("ill", "127.0.0.4:8001")
    both = up("127.0.0.2:8001", "127.0.0.4:8001")
    front.say({"ill.example.test": {"https": False, "health_path": "/healthz", "upstreams": both}})
    front.inside(sys.executable, "-c", _UNTIL_ONE, "ill.example.test", "one")


#: Asks until twenty answers in a row are from that one.
_UNTIL_ONE = """
import http.client, sys
name, wanted, row = *sys.argv[1:], 0
while row < 20:
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
    connection.request("GET", "/", headers={"Host": name})
    who = connection.getresponse().read().split(b"\\n")[0].decode()
    row = row + 1 if who == wanted else 0
"""


def test_who_may_look(front: Stand) -> None:
    salt = os.urandom(16)
    made = hashlib.scrypt(b"open sesame", salt=salt, n=4096, r=8, p=1, dklen=32)
    stored = "$".join(("scrypt", base64.b64encode(salt).decode(), base64.b64encode(made).decode()))
    route = {"https": False, "users": {"ali": stored}, "upstreams": up("127.0.0.2:8001")}
    front.say({"shut.example.test": route})
    assert front.get("http://shut.example.test/").status == 401
    assert front.get("http://shut.example.test/", "-u", "ali:wrong").status == 401
    assert front.get("http://shut.example.test/", "-u", "eve:open sesame").status == 401
    assert front.get("http://shut.example.test/", "-H", "Authorization: Basic %%%").status == 401
    for _ in range(3):
        assert front.get("http://shut.example.test/", "-u", "ali:open sesame").who == "one"
    front.say({"shut.example.test": {**route, "users": {"ali": stored.replace("scrypt", "plain")}}})
    assert front.get("http://shut.example.test/", "-u", "ali:open sesame").status == 401


def test_redirects_closed_names_and_names_with_nobody_behind(front: Stand) -> None:
    front.say(
        {
            "old.example.test": {"https": False, "redirect_to": "https://new.example.test/"},
            "one.example.test": {"https": False, "redirect_to": "https://new.example.test/page"},
            "shut.example.test": {
                "https": False,
                "closed": "It is <closed>.",
                "upstreams": up("127.0.0.2:8001"),
            },
            "empty.example.test": {"https": False},
            "dead.example.test": {"https": False, "upstreams": up("127.0.0.9:8001")},
        }
    )
    assert "Location: https://new.example.test/a?b=1" in front.get("http://old.example.test/a?b=1").headers
    assert "Location: https://new.example.test/page\n" in front.get("http://one.example.test/a").headers
    closed = front.get("http://shut.example.test/")
    assert closed.status == 503
    assert "It is &lt;closed&gt;." in closed.body
    assert front.get("http://empty.example.test/").status == 503
    assert front.get("http://dead.example.test/").status == 502


def _socket(front: Stand, name: str) -> subprocess.Popen[bytes]:
    """A WebSocket that says when it is open, then sends each line of its input and shows what comes back."""
    script = """
import socket, sys
s = socket.create_connection(("127.0.0.1", 80), timeout=10)
s.sendall(b"GET /ws HTTP/1.1\\r\\nHost: " + sys.argv[1].encode() + b"\\r\\n"
    b"Connection: Upgrade\\r\\nUpgrade: websocket\\r\\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n")
print(s.recv(4096).split(b"\\r\\n")[0].decode(), flush=True)
for line in sys.stdin:
    s.sendall(line.strip().encode())
    print(s.recv(4096).decode("latin-1"), flush=True)
"""
    return front.run(sys.executable, "-c", script, name, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_a_websocket_lives_on_while_other_names_change(front: Stand) -> None:
    mine = {"ws.example.test": {"https": False, "upstreams": up("127.0.0.2:8001")}}
    front.say(mine)
    opened = _socket(front, "ws.example.test")
    assert opened.stdin is not None
    assert opened.stdout is not None
    assert opened.stdout.readline() == b"HTTP/1.1 101 Switching Protocols\n"
    for number in range(20):
        front.say({**mine, f"n{number}.example.test": {"https": False}})
        assert front.get(f"http://n{number}.example.test/").status == 503
    opened.stdin.write(b"hello\n")
    opened.stdin.flush()
    assert opened.stdout.readline() == b"echo hello\n"


def test_a_table_that_cannot_be_read_leaves_what_was(front: Stand) -> None:
    front.say({"kept.example.test": {"https": False, "upstreams": up("127.0.0.2:8001")}})
    assert front.get("http://kept.example.test/").who == "one"
    table = front.layout.home / "domains/table/domains.json"
    table.write_text('{"routes": {"kept.example.test": {"upst')
    assert front.get("http://kept.example.test/").who == "one"
    table.unlink()
    assert front.get("http://kept.example.test/").who == "one"


def test_the_log_has_the_request_and_no_secret(front: Stand) -> None:
    front.say({"log.example.test": {"https": False, "upstreams": up("127.0.0.2:8001")}})
    front.get("http://log.example.test/logged?x=1", "-H", "Cookie: secret=1", "-u", "ali:secret")
    text = (front.layout.home / "domains/log/access.log").read_text()
    assert "secret" not in text
    seen = next(one for one in front.requests() if one["request"]["uri"] == "/logged?x=1")
    assert (seen["request"]["host"], seen["status"]) == ("log.example.test", 200)


def test_nothing_but_the_two_ports_is_open_to_others(front: Stand) -> None:
    said = front.inside("ss", "-Hltn")
    places = {line.split()[3] for line in said.splitlines()}
    assert {one for one in places if not one.startswith("127.")} == set(), said
    assert socket.gethostname()

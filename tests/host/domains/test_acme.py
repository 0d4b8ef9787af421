"""Certificates by ACME: a real server of the tests' own (Caddy's), which itself looks whose name it is."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtime.install.domains import Authority
from tests.support.domains import Stand, stand, up

pytestmark = pytest.mark.root
ACME_PORT = 9443
_NAMES = ("shop.example.test", "other.example.test")


def _ca(home: Path) -> dict[str, Any]:
    internal = {"subjects": ["localhost"], "issuers": [{"module": "internal"}]}
    server = {
        "listen": [f"127.0.0.1:{ACME_PORT}"],
        "automatic_https": {"disable": True},
        "tls_connection_policies": [{}],
        "routes": [{"handle": [{"handler": "acme_server"}]}],
    }
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "storage": {"module": "file_system", "root": f"{home}/ca"},
        "apps": {
            "pki": {"certificate_authorities": {"local": {"install_trust": False}}},
            "tls": {"automation": {"policies": [internal]}, "certificates": {"automate": ["localhost"]}},
            "http": {"servers": {"ca": server}},
        },
    }


def _authority(made: Stand, stack: ExitStack) -> Authority:
    """Its own mount namespace has the names in /etc/hosts, so that it comes to our front to look."""
    home = made.layout.home
    (home / "ca.json").write_text(json.dumps(_ca(home)))
    (home / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {one}\n" for one in _NAMES))
    script = 'mount --bind "$1" /etc/hosts && exec caddy run --config "$2"'
    made.run("unshare", "-m", "sh", "-c", script, "sh", str(home / "hosts"), str(home / "ca.json"))
    made.wait_port(ACME_PORT)
    return Authority(f"https://localhost:{ACME_PORT}/acme/local/directory", "ops@example.test",
                     str(home / "ca/pki/authorities/local/root.crt"))  # fmt: skip


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with stand(tmp_path_factory.mktemp("acme")) as made, ExitStack() as stack:
        authority = _authority(made, stack)
        copy = made.layout.home / "domains" / "acme-root.pem"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(Path(authority.root).read_bytes())
        made.start_front(replace(authority))
        made.behind("one", "127.0.0.2:8001")
        yield made


def test_a_name_gets_a_certificate_that_its_authority_vouches_for(front: Stand) -> None:
    front.say({"shop.example.test": {"upstreams": up("127.0.0.2:8001")}})
    root = front.layout.home / "ca/pki/authorities/local/root.crt"
    command = ["curl", "-s", "-m", "40", "--cacert", str(root), "--connect-to", "::127.0.0.1:"]
    said = front.inside(*command, "https://shop.example.test/")
    assert said.startswith("one\n")


def test_a_name_that_nobody_added_is_never_asked_a_certificate_for(front: Stand) -> None:
    front.say({"shop.example.test": {"upstreams": up("127.0.0.2:8001")}})
    assert front.get("https://other.example.test/").status == 0
    assert "other.example.test" not in str(list((front.layout.home / "domains/store").rglob("*")))


def test_it_starts_again_with_its_certificates(front: Stand) -> None:
    front.say({"shop.example.test": {"upstreams": up("127.0.0.2:8001")}})
    assert front.get("https://shop.example.test/").status == 200
    front.front.terminate()
    front.front.wait(20)
    again = front.run("caddy", "run", "--config", str(front.layout.home / "domains/caddy.json"))
    front.wait_port(443)
    assert front.get("https://shop.example.test/").status == 200
    assert again.poll() is None
    assert isinstance(again, subprocess.Popen)

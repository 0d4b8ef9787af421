"""Who reaches a running installation, and by which name."""

import http.client
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from runtime.install.layout import Layout
from runtime.install.sockets import processes_of
from tests.e2e.support import Installation


def _listening(pids: list[int]) -> set[tuple[str, str]]:
    """(list of the kernel's, local address) of each TCP and UDP socket of these that waits for strangers."""
    found = set()
    for pid in pids:
        held = set()
        for one in Path(f"/proc/{pid}/fd").iterdir():
            try:
                held.add(str(one.readlink()))
            except OSError:
                continue
        for name, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
            for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == state and f"socket:[{words[9]}]" in held:
                    found.add((name, words[1]))
    return found


def test_nothing_listens_but_the_front_on_loopback(wadah: Installation) -> None:
    pids = processes_of(Layout(wadah.home))
    assert len(pids) >= 10
    port = urlsplit(wadah.url).port or 0
    expected = {("tcp", f"0100007F:{port:04X}"), ("tcp6", f"{'0' * 24}01000000:{port:04X}")}
    assert _listening(pids) == expected


def test_doctor_names_each_socket(wadah: Installation) -> None:
    said = wadah.wadah("doctor", check=False).stdout
    listed = [line.partition("listens: ")[2] for line in said.splitlines() if "listens: " in line]
    port = urlsplit(wadah.url).port
    assert f"tcp 127.0.0.1:{port}: this machine only" in listed
    for name in ("redis", "web", "uploads", "ws"):
        assert f"{wadah.home}/run/{name}.sock: root and the group wadah" in listed
    assert not [one for one in listed if "whoever reaches" in one]


def _page(wadah: Installation, host: str, path: str = "/accounts/login/") -> tuple[int, str]:
    port = urlsplit(wadah.url).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": host, "Accept": "text/html"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_by_every_name_of_loopback_and_no_other(wadah: Installation) -> None:
    for host in ("localhost", "localhost:9321", "127.0.0.1:1", "[::1]:8080"):
        status, text = _page(wadah, host)
        assert (status, "csrfmiddlewaretoken" in text) == (200, True), host
    for host in ("panel.example.org", "192.0.2.2:8080", socket.gethostname()):
        status, text = _page(wadah, host)
        assert (status, wadah.url in text, "ssh -N -L" in text) == (421, True, True), host


@pytest.mark.parametrize("name", ["X_Forwarded_For", "X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_a_token_of_another_network_is_not_opened_by_a_header(wadah: Installation, name: str) -> None:
    made = wadah.call("POST", "/tokens", {"name": "bound", "permissions": ["*"], "networks": ["192.0.2.0/24"]})
    assert made.status == 201, made.body
    address = urlsplit(wadah.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    headers = {"Authorization": f"Bearer {made.body['token']}", name: "192.0.2.66"}
    connection.request("GET", "/api/v1/environments", headers=headers)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (401, "unauthenticated")
    wadah.call("DELETE", f"/tokens/{made.body['id']}")

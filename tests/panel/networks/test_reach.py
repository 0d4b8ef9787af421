"""What works from outside is told in words that can be pasted; nothing is told that doesn't work."""

import json
from types import SimpleNamespace

import pytest
from django.test import Client

from panel.environments.models import Environment
from panel.errors import Invalid
from panel.networks.forwards import add_forward
from panel.networks.reach import ways
from panel.nodes.services import update_node
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> Environment:
    factories.node()
    return factories.environment(factories.tenant(quota={"forwards": 10}))


def _texts(row: Environment) -> list[str]:
    row.node.refresh_from_db()
    return [one.text for one in ways(row, list(row.forwards.all()))]


def test_each_forward_in_its_own_words_ssh_first(row: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    local = SimpleNamespace(WADAH=SimpleNamespace(url="http://127.0.0.1:8080"))
    monkeypatch.setattr("panel.networks.reach.settings", local)
    actor = factories.administrator()
    for protocol, port in (("tcp", 443), ("udp", 53), ("tcp", 80), ("tcp", 22)):
        add_forward(actor, row.pk, protocol=protocol, port=port)
    assert _texts(row) == [], "nobody has said how the node is reached"
    update_node(actor, row.node_id, public_address="Node.Example.org.")
    ports = {(f.protocol, f.port): f.node_port for f in row.forwards.all()}
    assert _texts(row) == [
        f"ssh -p {ports['tcp', 22]} root@node.example.org",
        f"udp node.example.org:{ports['udp', 53]}",
        f"http://node.example.org:{ports['tcp', 80]}/",
        f"https://node.example.org:{ports['tcp', 443]}/",
    ]
    update_node(actor, row.node_id, public_address="2001:DB8::7")
    assert f"http://[2001:db8::7]:{ports['tcp', 80]}/" in _texts(row)
    assert f"ssh -p {ports['tcp', 22]} root@2001:db8::7" in _texts(row)


@pytest.mark.parametrize(
    "text", ["a b", "-x.org", "x_y.org", "1.2.3", "http://x.org", "x.org:22", "a" * 64, "x\n.org"]
)
def test_what_is_no_name_and_no_address_is_refused(row: Environment, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        update_node(factories.administrator(), row.node_id, public_address=text)
    assert refused.value.field == "public_address"


def test_page_and_api_show_it_and_offer_ssh(row: Environment, client: Client) -> None:
    actor = factories.administrator()
    headers = factories.bearer(actor, None, "*")
    body = json.dumps({"public_address": "node.example.org"})
    url = f"/api/v1/nodes/{row.node_id}"
    assert client.patch(url, body, content_type="application/json", headers=headers).status_code == 200
    client.force_login(factories.member(row.tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    page = client.get(f"/environments/{row.pk}/").content.decode()
    assert "Make it reachable by SSH" in page
    form = {"protocol": "tcp", "port": "22", "description": "SSH"}
    assert client.post(f"/environments/{row.pk}/network/forward", form).status_code == 302
    shown = f"ssh -p {row.forwards.get().node_port} root@node.example.org"
    page = client.get(f"/environments/{row.pk}/").content.decode()
    assert shown in page
    assert "Make it reachable by SSH" not in page
    answer = client.get(f"/api/v1/environments/{row.pk}", headers=headers).json()
    assert answer["reach"] == [{"text": shown, "port": 22}]

"""Names are one line of characters that can be seen, wherever one is given: else they forge logs and mails."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from panel.access.models import Invitation, SupportAccess
from panel.accounts.models import SshKey, Token, User
from panel.environments.models import Environment, EnvironmentTag
from panel.errors import Invalid
from panel.images.models import Image
from panel.networks.models import PortForward
from panel.plans.models import Plan
from panel.tenants.models import Role, Tenant
from panel.text import line, paragraphs
from tests.panel.security.world import SSH_KEY
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

UNSEEN = {
    "newline": "\n",
    "return": "\r",
    "tab": "\t",
    "NUL": "\0",
    "escape": "\x1b[2K",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "override": "\u202e",
    "isolate": "\u2066",
    "left-to-right mark": "\u200e",
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "byte order mark": "\ufeff",
    "soft hyphen": "\xad",
    "tag": "\U000e0041",
    "filler": "\u3164",
    "blank Braille": "\u2800",
    "private use": "\ue000",
}


@pytest.mark.parametrize("unseen", UNSEEN.values(), ids=UNSEEN)
@pytest.mark.parametrize("place", ["{}b", "a{}b", "a{}"])
def test_a_line_has_nothing_unseen(unseen: str, place: str) -> None:
    with pytest.raises(Invalid, match=r"U\+"):
        line(place.format(unseen), most=60)


@pytest.mark.parametrize(
    "name", ["Zürich BÜRO", "Привет", "日本 株式会社", "مثال", "नमस्ते", "O'Neil & Söhne, <b>", "👍🏽 team"]
)
def test_names_of_the_world_are_good(name: str) -> None:
    assert line(f"  {name} ", most=60) == name


def test_a_name_is_kept_composed_and_with_plain_spaces() -> None:
    assert line("Bu\u0308ro\xa0Eins\u3000Zwei", most=60) == "Büro Eins Zwei"
    assert paragraphs("one\r\n\ttwo\n", field="x", most=60) == "one\n\ttwo"
    for bad in ("a\u2028b", "a\x1bb", "a\u202eb", "a\rb"):
        with pytest.raises(Invalid):
            paragraphs(bad, field="x", most=60)
    for empty in ("", "   ", "\xa0"):
        with pytest.raises(Invalid):
            line(empty, most=60)


def _bad() -> list[str]:
    """One of each kind that a log, a screen and a reader stumble over."""
    return [
        'x\n{"event": "forged", "level": "critical"}',
        "x\r\nBcc: everybody@example.test",
        "x\u2028y",
        "abc\u202etxt.exe",
        "z\u200bero",
        "\x1b[2Jgone",
    ]


Ask = Callable[[str], Any]


def _ways(client: Client, row: Environment) -> dict[str, Ask]:
    tenant = row.tenant
    one, environment = f"/api/v1/tenants/{tenant.pk}", f"/api/v1/environments/{row.pk}"

    def post(url: str, field: str, more: dict[str, Any], method: str = "POST") -> Ask:
        return lambda text: client.generic(
            method, url, json.dumps({**more, field: text}), content_type="application/json"
        )

    new = {"image": "busybox", "limits": factories.LIMITS, "tenant": str(tenant.pk)}
    plan = {"limits": factories.LIMITS, "slug": "p"}
    return {
        "tenant": post("/api/v1/tenants", "name", {}),
        "tenant below": post("/api/v1/tenants", "name", {"parent": str(tenant.pk)}),
        "tenant's new name": post(one, "name", {}, "PATCH"),
        "reason of a suspension": post(f"{one}/suspend", "reason", {}),
        "role": post(f"{one}/roles", "name", {"permissions": ["tenant.view"]}),
        "token": post("/api/v1/tokens", "name", {"tenant": str(tenant.pk), "role": "viewer"}),
        "SSH key": post("/api/v1/ssh-keys", "name", {"text": SSH_KEY}),
        "plan": post("/api/v1/plans", "name", plan),
        "environment": post("/api/v1/environments", "name", new),
        "environment's new name": post(environment, "name", {}, "PATCH"),
        "tag": lambda text: client.patch(environment, {"tags": [text]}, content_type="application/json"),
        "forward": post(f"{environment}/forwards", "description", {"port": 80}),
        "image": post("/api/v1/images", "name", {"source": "busybox"}),
        "invitation": post(f"{one}/invitations", "email", {"role": "viewer"}),
    }


def _all_there_is() -> str:
    models = (
        Tenant,
        Role,
        Token,
        SshKey,
        Plan,
        Environment,
        EnvironmentTag,
        PortForward,
        Image,
        User,
        Invitation,
    )
    return repr([list(model.objects.order_by("pk").values()) for model in (*models, SupportAccess)])


def test_no_name_of_the_api_takes_them() -> None:
    factories.node()
    row = factories.environment(factories.tenant())
    factories.member(row.tenant)
    client = Client(headers=factories.bearer(factories.administrator(), None, "*"))
    assert client.get("/api/v1/tenants").status_code == 200  # notes when the token was used
    before = _all_there_is()
    for what, ask in _ways(client, row).items():
        for text in _bad():
            answer = ask(text)
            assert answer.status_code == 422, f"{what}: {text!r} got {answer.status_code} {answer.content!r}"
            assert answer.json()["detail"]
    assert _all_there_is() == before


def test_no_page_takes_them() -> None:
    user = factories.person()
    client = Client()
    client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    for text in _bad():
        answer = client.post("/profile/", {"name": text, "language": "en", "time_zone": "UTC"})
        assert answer.status_code == 422, text
    user.refresh_from_db()
    assert user.name == ""

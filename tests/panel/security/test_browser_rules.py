"""F09, F18, F19, F20: forged requests, scripts in names, headers, hosts, redirects."""

import re
from html.parser import HTMLParser

import pytest
from django.test import Client

from panel.audit.models import AuditRecord
from panel.environments.models import Environment
from panel.operations.models import Operation
from panel.tenants.models import Tenant
from tests.panel.security.walk import BODIES, ask, routes, table
from tests.panel.security.world import World, make_world
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
_PAYLOAD = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}"


def strict(user: object) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_no_unsafe_request_works_without_its_token() -> None:
    """F09: of every route, by a session; with JSON that calls itself text, too."""
    world = make_world()
    before = _state()
    for line in table().values():
        route = routes()[line.pattern]
        if line.method == "GET" or "login" in line.pattern or line.pattern.startswith("/accounts/"):
            continue
        client = strict(world.platform)
        status = ask(client, line.method, route, world.values(world.own)).status_code
        assert status in (403, 404, 405), f"{line.key}: {status}"
        path = route.path(world.values(world.own))
        text = client.generic(line.method, path, '{"a":1}', content_type="text/plain")
        assert text.status_code in (403, 404, 405, 415), f"{line.key} as text: {text.status_code}"
    assert _state() == before


def _state() -> list[object]:
    return [
        list(Environment.objects.order_by("pk").values()),
        list(Tenant.objects.order_by("pk").values()),
        list(Operation.objects.order_by("pk").values_list("pk", "state")),
        # who reads what a console printed, or what a file holds, is written down
        AuditRecord.objects.exclude(action__startswith="session.")
        .exclude(action__in=["environment.console_log", "environment.file_read"])
        .count(),
    ]


def test_reading_changes_nothing() -> None:
    """F09: every GET as administrator leaves the database as it was."""
    world = make_world()
    client = Client()
    client.force_login(world.platform, "allauth.account.auth_backends.AuthenticationBackend")
    before = _state()
    for line in table().values():
        if line.method == "GET" and not line.pattern.startswith("/accounts/"):
            client.get(routes()[line.pattern].path(world.values(world.own)))
    assert _state() == before


class Markup(HTMLParser):
    """What in a page could run: handlers, scripts without a nonce, odd links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        is_ours = values.get("nonce") or str(values.get("src", "")).startswith("/static/")
        is_data = values.get("type") in ("application/json", "importmap")
        if tag == "script" and not is_ours and not is_data:
            self.found.append(f"<script {values}>")
        self.found += [f"{tag} {name}" for name in values if name.startswith("on") or name == "style"]
        link = str(values.get("href") or values.get("src") or values.get("action") or "")
        if re.match(r"\s*(javascript|data|vbscript):", link, re.I) and tag != "img":
            self.found.append(f"{tag} {link}")


@pytest.fixture
def poisoned() -> World:
    """A world in which everything that a tenant can name is a script, also past what services refuse."""
    world = make_world()
    Environment.objects.update(description=_PAYLOAD, message=_PAYLOAD, next_step=_PAYLOAD, code="x")
    Tenant.objects.update(name=_PAYLOAD[:120], suspended_reason=_PAYLOAD)
    Operation.objects.update(
        subject_name=_PAYLOAD[:63],
        who_name=_PAYLOAD,
        message=_PAYLOAD,
        details={"image": _PAYLOAD, _PAYLOAD: _PAYLOAD},
        steps=[{"name": _PAYLOAD, "verb": "ensure", "state": "failed", "duration_ms": 1.0, "detail": _PAYLOAD}],
    )
    from panel.access.models import SupportAccess
    from panel.accounts.models import Token, User
    from panel.networks.models import PortForward
    from panel.tenants.models import Role

    User.objects.update(name=_PAYLOAD[:120])
    Token.objects.update(name=_PAYLOAD[:120], networks=[_PAYLOAD])
    Role.objects.update(name=_PAYLOAD[:60])
    SupportAccess.objects.update(reason=_PAYLOAD)
    PortForward.objects.update(description=_PAYLOAD[:120])
    return world


def test_a_script_in_a_name_stays_text(poisoned: World) -> None:
    """F18: in every page, as the administrator and as the owner; the CSP is a second wall, not the first."""
    for role in ("platform", "owner"):
        client = poisoned.client(role)
        for line in table().values():
            if line.method != "GET" or line.pattern.startswith("/api/"):
                continue
            answer = client.get(routes()[line.pattern].path(poisoned.values(poisoned.own)))
            if not answer.headers.get("Content-Type", "").startswith("text/html") or answer.streaming:
                continue
            text = answer.content.decode()
            markup = Markup()
            markup.feed(text)
            assert markup.found == [], f"{line.pattern} as {role}"
            assert "<script>alert" not in text, line.pattern
            assert "onerror=alert(2)>" not in text, line.pattern


@pytest.mark.parametrize(
    "path", ["/accounts/login/", "/environments/", "/no/such/page", "/healthz", "/api/v1/x"]
)
def test_headers_are_on_every_answer(path: str) -> None:
    """F19."""
    client = Client()
    client.force_login(factories.person(), "allauth.account.auth_backends.AuthenticationBackend")
    for browser in (client, Client()):
        headers = browser.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "unsafe-eval" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "base-uri 'none'" in policy
        assert "Server" not in headers
        assert "X-Powered-By" not in headers


def test_private_pages_aren_t_kept() -> None:
    """F20: neither by a browser's history after signing out nor by anything between."""
    tenant = factories.tenant()
    client = Client()
    client.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    for path in (
        "/environments/",
        f"/tenants/{tenant.pk}/",
        "/tokens/",
        "/api/v1/environments",
        "/audit/export",
    ):
        assert "no-store" in client.get(path).headers.get("Cache-Control", ""), path


@pytest.mark.parametrize("host", ["evil.example", "testserver.evil.example", "testserver:80@evil.example", ""])
def test_another_host_name_is_refused(host: str) -> None:
    """F20."""
    assert Client().get("/accounts/login/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "http:evil.example"],
)
def test_no_redirect_leads_away(target: str) -> None:
    """F20."""
    user = factories.person(password=factories.PASSWORD)
    client = Client()
    body = {"login": user.username, "password": factories.PASSWORD, "next": target}
    answer = client.post(f"/accounts/login/?next={target}", body)
    assert answer["Location"] == "/"
    answer = client.post("/i18n/setlang/", {"language": "id", "next": target})
    assert answer["Location"] == "/"
    factories.node()
    row = factories.environment(factories.tenant())
    owner = Client()
    owner.force_login(factories.member(row.tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    answer = owner.post(f"/environments/{row.pk}/power", {"action": "stop", "next": target})
    assert answer["Location"].startswith("/environments/")


def test_the_walk_s_bodies_are_of_routes() -> None:
    assert {key.split()[1] for key in BODIES} <= set(routes())

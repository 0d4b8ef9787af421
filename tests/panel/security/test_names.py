"""What the panel is called: other names get a page that says what is right, and no script of theirs gets in."""

import pytest
from django.conf import settings
from django.test import Client, override_settings

from panel.config.env import PanelEnv
from panel.config.names import is_known, is_ours

LOCAL = PanelEnv(url="http://127.0.0.1:8080")
PUBLIC = PanelEnv(url="https://panel.example.org", extra_hosts="box,127.0.0.1,localhost,[::1]")


def _named(wadah: PanelEnv) -> override_settings:
    return override_settings(WADAH=wadah, ALLOWED_HOSTS=wadah.hosts)


@pytest.mark.django_db
@pytest.mark.parametrize("wadah", [LOCAL, PUBLIC])
@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:9321", "localhost.", "127.0.0.1", "127.0.0.1:9321", "[::1]", "[::1]:8080"]
)
def test_loopback_in_all_spellings_on_any_port(wadah: PanelEnv, host: str) -> None:
    with _named(wadah):
        assert is_known(host)
        assert is_ours(f"http://{host}".lower(), [host.lower()], "http")
        assert Client(headers={"host": host}).get("/accounts/login/").status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.1",
     "a b", "127.0.0.1@evil.example", "", "[::2]", "127.0.0.1:80:80", "evil.example#127.0.0.1"],
)  # fmt: skip
def test_another_name_gets_a_page_that_says_what_is_right(host: str) -> None:
    with _named(LOCAL):
        client = Client(headers={"host": host})
        for path in ("/", "/accounts/login/", "/api/v1/environments", "/ws/events", "/nothing"):
            page = client.get(path, headers={"accept": "text/html,*/*"})
            assert page.status_code == 421
            if not path.startswith("/api/"):
                text = page.content.decode()
                assert "http://127.0.0.1:8080" in text
                assert "ssh -N -L 8080:127.0.0.1:8080 " in text
                assert "./wadah up --name" in text
                assert "Set-Cookie" not in page.headers
        told = client.get("/api/v1/environments").json()
        assert told["code"] == "unknown_name"
        assert "http://127.0.0.1:8080" in told["detail"]
        posted = client.post("/accounts/login/", {"login": "x", "password": "y"})
        assert posted.status_code == 421
        assert not is_ours(f"http://{host}", [host], "http")


def test_what_was_asked_for_is_shown_as_text() -> None:
    with _named(LOCAL):
        page = Client(headers={"host": "<script>alert(1)</script>"}).get("/", headers={"accept": "text/html"})
    assert b"<script>alert" not in page.content


def test_a_public_panel_tells_nobody_how_its_machine_is_called() -> None:
    with _named(PUBLIC):
        text = Client(headers={"host": "x.example"}).get("/", headers={"accept": "text/html"}).content.decode()
    assert "https://panel.example.org" in text
    assert "ssh" not in text


@pytest.mark.django_db
def test_supervisors_ask_by_any_address() -> None:
    assert Client(headers={"host": "192.0.2.1:8080"}).get("/healthz").status_code == 200
    assert Client(headers={"host": "192.0.2.1:8080"}).get("/readyz").status_code in (200, 503)


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "good"),
    [
        ("https://panel.example.org", "panel.example.org", "https", True),
        ("https://panel.example.org", "127.0.0.1:8080", "http", True),  # a proxy that asks by its own name
        ("https://panel.example.org:443", "panel.example.org", "https", True),
        ("http://panel.example.org", "panel.example.org", "https", False),
        ("https://panel.example.org:8443", "panel.example.org", "https", False),
        ("https://box", "box", "https", True),
        ("http://box", "box", "https", False),
        ("https://box", "panel.example.org", "https", False),
        ("http://localhost:9000", "localhost:9000", "http", True),
        ("http://localhost:3000", "localhost:9000", "http", False),  # another program of the same machine
        ("http://127.0.0.1:9000", "localhost:9000", "http", False),
        ("https://evil.example", "evil.example", "https", False),
        ("https://evil.example", "panel.example.org", "https", False),
        ("https://panel.example.org.evil.example", "panel.example.org", "https", False),
        ("https://panel.example.org@evil.example", "panel.example.org", "https", False),
        ("https://panel.example.org:99999", "panel.example.org", "https", False),
        ("https://panel.example.org:x", "panel.example.org", "https", False),
        ("https://[", "panel.example.org", "https", False),
        ("null", "panel.example.org", "https", False),
        ("", "panel.example.org", "https", False),
        ("file://", "panel.example.org", "https", False),
    ],
)
def test_whose_scripts_may_open_a_socket(origin: str, host: str, scheme: str, good: bool) -> None:
    with _named(PUBLIC):
        assert is_ours(origin, [host], scheme) is good
        assert not is_ours(origin, [], scheme)
        assert not is_ours(origin, [host, host], scheme) or origin == settings.WADAH.url


@pytest.mark.django_db
def test_a_form_comes_from_where_its_page_came() -> None:
    """CSRF: what a tunnel on another port needs, and nobody else."""
    with _named(LOCAL):
        client = Client(enforce_csrf_checks=True, headers={"host": "localhost:9321"})
        client.get("/accounts/login/")
        token = str(client.get("/accounts/login/").context["csrf_token"])
        for origin, status in (("http://localhost:9321", 200), ("http://localhost:3000", 403)):
            sent = {"login": "x", "password": "y", "csrfmiddlewaretoken": token}
            answer = client.post("/accounts/login/", sent, headers={"origin": origin})
            assert answer.status_code == status

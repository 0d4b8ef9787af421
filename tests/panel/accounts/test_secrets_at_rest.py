"""What stands in the database and the log: no password, no stranger's row, no record that a name has forged."""

import json
import logging
import time
import zlib
from typing import Any

import pytest
import time_machine
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core import signing
from django.core.mail import EmailMessage
from django.core.signing import JSONSerializer, b64_decode
from django.db import connection
from django.test import Client
from django.urls import reverse

from panel.accounts.sessions import forget_over
from panel.audit.models import AuditRecord
from panel.config.mail import LogBackend
from panel.config.settings import CSRF_USE_SESSIONS
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user, _BACKEND)
    return client


def rows() -> str:
    """The session table as a backup has it, undone of what anybody can undo: signature, base64, compression."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_data FROM django_session")
        texts = [text for (text,) in cursor.fetchall()]
    found = []
    for text in texts:
        raw = b64_decode(text.lstrip(".").split(":", 1)[0].encode())
        found.append(zlib.decompress(raw) if text.startswith(".") else raw)
    return "\n".join(one.decode(errors="replace") for one in found)


def test_a_password_that_is_shown_once_stands_in_no_row() -> None:
    factories.node()
    row = factories.environment(factories.tenant())
    client = signed_in(factories.member(row.tenant).user)
    session = client.session
    kept = {"of": str(row.pk), "text": "w8-Ks.long-and-random", "until": time.time() + 600}
    session["shown-once"] = kept  # as `environments.views.once` keeps it
    session.save()
    assert kept["text"] in client.get(f"/environments/{row.pk}/").content.decode()
    assert Session.objects.count() == 1
    assert kept["text"] not in rows()
    assert "shown-once" not in rows()


def test_sessions_of_before_are_still_read() -> None:
    client = signed_in(factories.person())
    assert client.get("/profile/").status_code == 200
    row = Session.objects.get()
    values = client.session
    row.session_data = signing.dumps(
        dict(values.items()),
        salt="django.contrib.sessions.SessionStore",
        serializer=JSONSerializer,
        compress=True,
    )
    row.save()
    assert client.get("/profile/").status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/accounts/login/", "/accounts/password/reset/", "/nothing/", "/environments/"]
)
def test_a_strangers_look_writes_no_row(path: str) -> None:
    client = Client()
    client.get(path)
    assert settings.SESSION_COOKIE_NAME not in client.cookies
    client.get(reverse("invitation-accept", args=["x"]))
    assert not Session.objects.exists()
    assert not CSRF_USE_SESSIONS


def test_a_form_is_protected_without_a_session() -> None:
    factories.person(username="ayu", password="correct horse battery")
    client = Client(enforce_csrf_checks=True)
    page = client.get("/accounts/login/")
    assert client.cookies[settings.CSRF_COOKIE_NAME]["httponly"]
    sent = {"login": "ayu", "password": "correct horse battery"}
    assert client.post("/accounts/login/", sent).status_code in (302, 403)
    assert client.get("/profile/").status_code == 302, "without the token nobody is in"
    token = str(page.context["csrf_token"])
    assert client.post("/accounts/login/", {**sent, "csrfmiddlewaretoken": token}).status_code == 302
    assert client.get("/profile/").status_code == 200


def test_a_form_whose_session_has_ended_comes_back_to_its_page() -> None:
    client = Client(headers={"Referer": "http://testserver/environments/?state=running"})
    answer = client.post(reverse("environment-power", args=["00000000-0000-0000-0000-000000000000"]), {})
    assert answer["Location"] == "/accounts/login/?next=/environments/%3Fstate%3Drunning"


def test_what_is_over_is_forgotten() -> None:
    gone, here = factories.person(), factories.person()
    with time_machine.travel("2026-01-01T00:00:00Z", tick=True):
        signed_in(gone).get("/profile/")
    signed_in(here).get("/profile/")
    UserSession.objects.create(user=gone, ip="192.0.2.1", user_agent="x", session_key="long-gone")
    forget_over()
    assert Session.objects.count() == 1
    assert not UserSession.objects.filter(session_key="long-gone").exists()


def _written(record: logging.LogRecord) -> str:
    """As the log's handler writes it."""
    formatter = next(
        one.formatter for one in logging.getLogger().handlers if type(one) is logging.StreamHandler
    )
    assert formatter is not None
    return formatter.format(record)


def test_a_mail_without_a_server_is_one_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    forged = 'x\n{"event": "signed in", "user": "admin", "level": "info"}\r\n\x1b[2Jy'
    LogBackend().send_messages([EmailMessage("Forged", forged, None, ["a@example.test"])])
    (line,) = [_written(one) for one in caplog.records]
    assert line.isprintable()
    assert json.loads(line)["text"] == forged


def test_lines_for_people_are_not_forged_either() -> None:
    from panel.config.logs import _in_one_line

    shown = _in_one_line(None, "", {"event": "x\ny", "user": "a\x1b[2J\u2028b", "count": 3})
    assert shown == {"event": "x\\ny", "user": "a\\x1b[2J\\u2028b", "count": 3}


@pytest.mark.parametrize("name", ["hunter2-my-real-password", 'x\n{"event": "forged"}', "nobody\x1b[2J"])
def test_a_name_that_nobody_has_stands_nowhere(
    name: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    known = factories.person(username="known")
    for one in (name, "known", known.email):
        Client().post("/accounts/login/", {"login": one, "password": "wrong wrong wrong"})
    tried = AuditRecord.objects.filter(action="session.begin", is_denied=True).values_list("who", flat=True)
    assert set(tried) == {"?", "known"}
    out, err = capfd.readouterr()
    assert name not in repr(list(AuditRecord.objects.values())) + out + err + caplog.text


def test_the_agent_of_a_browser_forges_no_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    agent = 'x\x1b[2J "} {"event": "forged"}'
    client = Client(headers={"User-Agent": agent, "Referer": agent, "X-Request-Id": "a b\nc"})
    factories.person(username="ayu", password="correct horse battery")
    client.post("/accounts/login/", {"login": "ayu", "password": "correct horse battery"})
    client.get('/api/v1/environments/x%0a%7b"event":"forged"%7d')
    for record in caplog.records:
        line = _written(record)
        assert line.isprintable()
        assert json.loads(line)["event"] != "forged"

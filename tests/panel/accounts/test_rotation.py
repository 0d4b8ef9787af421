"""V08: keys are exchanged; nobody is locked out, and the old ones are good for nothing after their window."""

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.conf import settings
from django.test import Client

from panel.api.models import IdempotencyRecord
from panel.audit.models import AuditHead
from panel.audit.services import record
from panel.audit.verify import verify
from panel.config.rotation import rotate
from panel.config.secrets import OldKey, Secrets, StillGood
from panel.people.invitations import find, invite
from runtime.contract import Purpose, Ticket
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


class Panel:
    """One with secrets of its own."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch):
        self._home, self._patch = home, monkeypatch
        Secrets.ensure(home)
        self.start()

    @property
    def secrets(self) -> Secrets:
        return Secrets.load(self._home)

    def start(self) -> None:
        """As its processes do: with what the file says then."""
        self._patch.setattr(settings, "SECRETS", self.secrets)
        self._patch.setattr(settings, "SECRET_KEY", self.secrets.secret_key)
        self._patch.setattr(settings, "SECRET_KEY_FALLBACKS", StillGood(self.secrets.old_secret_keys))

    def rotate(self, window_s: float = 3600) -> None:
        rotate(self._home, window_s)
        self.start()


@pytest.fixture
def panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Panel:
    return Panel(tmp_path, monkeypatch)


def _signed_in() -> Client:
    client = Client()
    client.force_login(factories.administrator().user)
    assert client.get("/environments/").status_code == 200
    return client


def _is_in(client: Client) -> bool:
    return client.get("/environments/").status_code == 200


def test_whoever_is_signed_in_stays_so_for_the_window(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    client, other = _signed_in(), _signed_in()
    panel.rotate(window_s=3600)
    panel.rotate(window_s=3600)  # of two exchanges too
    assert _is_in(client)
    now = time.time()
    monkeypatch.setattr("panel.config.secrets.time.time", lambda: now + 4000)  # in the same process
    assert not _is_in(other)


def test_without_a_window_everybody_signs_in_anew(panel: Panel) -> None:
    client = _signed_in()
    panel.rotate(window_s=3600)
    panel.rotate(window_s=0)
    assert not _is_in(client)
    assert panel.secrets.old_secret_keys == []
    assert _is_in(_signed_in())


def test_an_invitation_is_good_for_the_window(panel: Panel) -> None:
    row, link = invite(factories.administrator(), factories.tenant(), email="new@example.org", role="viewer")
    key = link.rstrip("/").rpartition("/")[2]
    panel.rotate()
    assert find(key) == row
    panel.rotate(window_s=0)
    assert find(key) is None


def test_what_is_encrypted_is_read_and_the_old_key_reads_nothing(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = factories.administrator()
    headers = factories.bearer(who, None, "*")
    values = {"role": "viewer", "tenant": str(factories.tenant().pk), "name": "t"}

    def ask() -> Any:
        return Client().post(
            "/api/v1/tokens",
            json.dumps(values),
            content_type="application/json",
            headers={**headers, "Idempotency-Key": "k-1"},
        )

    first, old = ask(), panel.secrets
    assert first.status_code == 201, first.content
    panel.rotate()
    assert ask().json() == first.json()
    assert len(panel.secrets.field_keys) == 1
    monkeypatch.setattr(settings, "SECRETS", old)
    assert ask().status_code == 409
    assert IdempotencyRecord.objects.count() == 1


def test_a_second_factor_goes_on_working(panel: Panel) -> None:
    user = factories.person()
    RecoveryCodes.activate(user)
    codes = RecoveryCodes.activate(user).generate_codes()
    before = Authenticator.objects.get(user=user).data["seed"]
    panel.rotate()
    assert Authenticator.objects.get(user=user).data["seed"] != before
    assert RecoveryCodes.activate(user).generate_codes() == codes


def test_the_audit_record_holds_and_a_broken_one_stays_broken(panel: Panel) -> None:
    good, bad = factories.tenant(), factories.tenant()
    for of in (good, bad):
        record(factories.administrator(), "test.deed", tenant_id=of.pk)
    AuditHead.objects.filter(chain=bad.pk).update(seal="0" * 64)
    panel.rotate()
    broken = {one.chain for one in verify()[1]}
    assert good.pk not in broken
    assert bad.pk in broken


def test_interrupted_it_goes_on_with_the_next(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    of = factories.tenant()
    record(factories.administrator(), "test.deed", tenant_id=of.pk)

    def die(_: list[str]) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("panel.config.rotation._seal_anew", die)
        with pytest.raises(KeyboardInterrupt):
            panel.rotate()
    panel.start()
    assert len(panel.secrets.field_keys) == 2
    assert verify()[1] == []
    panel.rotate()
    assert len(panel.secrets.field_keys) == 1
    assert verify()[1] == []


def test_a_ticket_of_the_old_key_opens_nothing(panel: Panel) -> None:
    def ticket() -> str:
        made = Ticket.issue(environment_id=None, node="n", purpose=Purpose.EXEC, user="u")
        return made.sign(panel.secrets.ticket_key)

    old = ticket()
    panel.rotate()
    key = panel.secrets.ticket_public_key()
    Ticket.verify(ticket(), public_key_pem=key, node="n")
    with pytest.raises(jwt.InvalidSignatureError):
        Ticket.verify(old, public_key_pem=key, node="n")


def test_nothing_of_a_key_is_shown() -> None:
    made = Secrets.make().renewed(60)
    for secret in (made.secret_key, made.old_secret_keys[0].key, *made.field_keys):
        assert secret not in repr(made)
        assert secret not in repr(OldKey(key=secret, until=0))

"""F15: each denied try is one record, in the chain of the tenant whose thing it was."""

import pytest
from django.test import Client

from panel.audit.models import AuditRecord
from panel.audit.services import DENIED_PER_MINUTE
from tests.panel.security.sockets import handshake, run, socket
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def _denied() -> list[tuple[str, str]]:
    rows = AuditRecord.objects.filter(is_denied=True).order_by("pk")
    return [(row.who, row.after["permission"]) for row in rows]


def test_by_page_api_and_socket() -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant)
    viewer = factories.member(tenant, "viewer")
    client = Client()
    client.force_login(viewer.user, "allauth.account.auth_backends.AuthenticationBackend")
    assert client.post(f"/environments/{row.pk}/power", {"action": "stop"}).status_code == 403
    assert (
        client.post(f"/api/v1/environments/{row.pk}/stop", content_type="application/json").status_code == 403
    )
    assert run(handshake, socket(f"/ws/environments/{row.pk}/console", client)) == 4401
    wanted = ["environment.power", "environment.power", "environment.console"]
    assert _denied() == [(viewer.name, permission) for permission in wanted]
    assert set(AuditRecord.objects.filter(is_denied=True).values_list("chain", flat=True)) == {tenant.pk}


def test_a_flood_of_them_is_cut_off() -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant)
    client = Client()
    user = factories.member(tenant, "viewer").user
    client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    for _ in range(DENIED_PER_MINUTE + 5):
        client.post(f"/api/v1/environments/{row.pk}/stop", content_type="application/json")
    assert len(_denied()) == DENIED_PER_MINUTE

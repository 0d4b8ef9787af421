"""By whose key a registry's images must be signed: named, refused in words, and what holds for whom."""

import json
from typing import Any

import pytest
from django.test import Client

from panel.registries.models import Registry
from panel.registries.selectors import access_of
from tests.panel.support import factories
from tests.support.signing import Sigstore

pytestmark = pytest.mark.django_db
HOST = "registry.example.org"
GPG = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEZ0sYhxYJKwYBBAHaRw8BAQdAo0tXyTDuTqxLJ5VJmWmZJ4mCkGZ0b2tlbjE=
=abcd
-----END PGP PUBLIC KEY BLOCK-----"""


def post(client: Client, who: dict[str, str], **fields: Any) -> Any:
    body = json.dumps({"host": HOST, **fields})
    return client.post("/api/v1/registries", body, content_type="application/json", headers=who)


def test_named_and_told(client: Client) -> None:
    tenant, key = factories.tenant(), Sigstore().public
    who = factories.bearer(factories.member(tenant), tenant, role="owner")
    answer = post(client, who, tenant=tenant.slug, signed_by="sigstore", signature_key=key)
    assert answer.status_code == 201, answer.content
    assert answer.json()["signed_by"] == "sigstore"
    assert answer.json()["signature_key"] == key
    (policy,) = access_of(tenant, f"{HOST}/web:1").signatures
    assert (policy.kind, policy.key, policy.inward) == ("sigstore", key, False)
    assert access_of(tenant, "other.example.org/web:1").signatures == ()


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"signed_by": "pgp", "signature_key": GPG}, "signed_by", "gpg or sigstore"),
        ({"signature_key": GPG}, "signed_by", "Say which kind"),
        (
            {"signed_by": "gpg", "signature_key": "x", "lookaside": "https://a.b"},
            "signature_key",
            "gpg --armor",
        ),
        ({"signed_by": "gpg", "signature_key": GPG}, "lookaside", "Say where the signatures lie"),
        ({"signed_by": "gpg", "signature_key": GPG, "lookaside": "http://a.b"}, "lookaside", "https://"),
        ({"signed_by": "gpg", "signature_key": GPG, "lookaside": "file:///etc"}, "lookaside", ""),
        ({"signed_by": "gpg", "signature_key": GPG, "lookaside": "https://u:p@a.b"}, "lookaside", ""),
        ({"signed_by": "sigstore", "signature_key": GPG}, "signature_key", "cosign.pub"),
        ({"signed_by": "sigstore", "signature_key": ""}, "signature_key", "cosign.pub"),
        (
            {"signed_by": "sigstore", "signature_key": "-----BEGIN EC PRIVATE KEY-----\nx"},
            "signature_key",
            "private key",
        ),
    ],
)
def test_bad_ones_are_refused_and_nothing_is_kept(
    client: Client, fields: dict[str, str], field: str, says: str
) -> None:
    tenant = factories.tenant()
    who = factories.bearer(factories.member(tenant), tenant, role="owner")
    answer = post(client, who, tenant=tenant.slug, **fields)
    assert answer.status_code == 422, answer.content
    assert answer.json()["field"] == field
    assert says in answer.json()["detail"]
    assert not Registry.objects.exists()


def test_who_may_create_environments_alone_names_none_and_takes_none_out(client: Client) -> None:
    tenant, key = factories.tenant(), Sigstore().public
    member = factories.member(tenant)
    owner = factories.bearer(member, tenant, role="owner")
    operator = factories.bearer(member, tenant, role="operator")
    assert (
        post(client, operator, tenant=tenant.slug, signed_by="sigstore", signature_key=key).status_code == 403
    )
    row = post(client, owner, tenant=tenant.slug, signed_by="sigstore", signature_key=key).json()["id"]
    assert client.delete(f"/api/v1/registries/{row}", headers=operator).status_code == 403
    assert client.delete(f"/api/v1/registries/{row}", headers=owner).status_code == 204


def test_those_above_hold_as_well(client: Client) -> None:
    tenant = factories.tenant()
    Registry.objects.create(host=HOST, signed_by="sigstore", signature_key="installation")
    Registry.objects.create(host=HOST, tenant=tenant, signed_by="sigstore", signature_key="tenant", inward=True)
    found = access_of(tenant, f"{HOST}/web:1").signatures
    assert {one.key: one.inward for one in found} == {"installation": False, "tenant": True}

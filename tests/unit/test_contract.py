"""The border between panel and node refuses what it should."""

import json
import uuid

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runtime.contract import Credentials, EnvironmentSpec, Purpose, Ticket

GOOD = {
    "id": str(uuid.uuid4()),
    "tenant_id": str(uuid.uuid4()),
    "node": "node-1",
    "name": "web",
    "generation": 1,
    "image": "debian-12",
    "desired": "running",
    "slot": 0,
    "limits": {"cpu": 1, "memory_mb": 128, "disk_mb": 512},
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../etc"),
        ("name", "-rf"),
        ("name", "web\n"),
        ("name", "a" * 64),
        ("name", "Web"),
        ("name", "w\u0435b"),  # a Cyrillic letter
        ("image", "../../etc"),
        ("image", "a/b"),
        ("slot", 4094),
        ("generation", 0),
        ("kind", "vm"),
        ("limits", {"cpu": 0, "memory_mb": 128, "disk_mb": 512}),
        ("limits", {"cpu": 1, "memory_mb": 1, "disk_mb": 512}),
        ("root", "/etc"),
    ],
)
def test_a_bad_spec_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        EnvironmentSpec.model_validate({**GOOD, field: value})


def test_a_good_spec_survives_the_wire() -> None:
    spec = EnvironmentSpec.model_validate(GOOD)
    assert EnvironmentSpec.model_validate(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec


@given(st.text(alphabet=st.characters(), min_size=1, max_size=40))
def test_no_key_brings_a_second_line(text: str) -> None:
    try:
        keys = Credentials(ssh_keys=(text,)).ssh_keys
    except ValidationError:
        return
    assert not any(c in keys[0] for c in "\r\n\0")


def _keys() -> tuple[str, str]:
    private = Ed25519PrivateKey.generate()
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return secret, public


def test_a_ticket_is_for_one_node_and_not_forged() -> None:
    secret, public = _keys()
    environment = uuid.uuid4()
    ticket = Ticket.issue(environment_id=environment, node="node-1", purpose=Purpose.EXEC, user="ana")
    token = ticket.sign(secret)
    assert Ticket.verify(token, public_key_pem=public, node="node-1").environment_id == environment
    with pytest.raises(jwt.InvalidTokenError):
        Ticket.verify(token, public_key_pem=public, node="node-2")
    with pytest.raises(jwt.InvalidTokenError):
        Ticket.verify(token, public_key_pem=_keys()[1], node="node-1")
    stale = ticket.model_copy(update={"expires_at": 1}).sign(secret)
    with pytest.raises(jwt.InvalidTokenError):
        Ticket.verify(stale, public_key_pem=public, node="node-1")


def test_a_ticket_without_signature_is_refused() -> None:
    _, public = _keys()
    claims = {"iss": "wadah-panel", "aud": "node-1", "exp": 2**33, "jti": str(uuid.uuid4())}
    with pytest.raises(jwt.InvalidTokenError):
        Ticket.verify(jwt.encode(claims, "", algorithm="none"), public_key_pem=public, node="node-1")

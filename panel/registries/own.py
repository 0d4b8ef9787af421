"""The registry of the installation: its name, the keys that it believes, and the passes by which nodes pull.

It knows nobody: it believes a token that the panel signed (distribution's token specification), with the
panel's certificate beside it. `docker login` gets one for a token of the API; a node for a pass, which says one
repository and one tenant, and is good for an hour or two.
"""

import base64
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.conf import settings
from django.core import signing

SERVICE, ISSUER = "wadah-registry", "wadah-panel"
LIFETIME_S = 300
#: The name by which a node asks; its password is a pass.
NODE = "wadah-node"
#: In place of a repository: every one that the tenant may pull.
ALL = "*"
_SALT = "wadah.registry.node"
_PASS_S = 3600
_YEARS = 20
_KEY, _CERTIFICATE = "registry.key", "registry.crt"


def host() -> str:
    """As images are named with it: `panel.example.org`, `127.0.0.1:8080`."""
    return urlsplit(settings.WADAH.url).netloc.lower()


def is_offered() -> bool:
    """Whether this installation runs one."""
    return place().is_dir()


def place() -> Path:
    """Where it keeps what was pushed."""
    found: Path = settings.WADAH.home / "registry"
    return found


# keys ---------------------------------------------------------------------------------------------


def ensure_keys(home: Path) -> None:
    """Key and certificate below HOME/panel. A no-op where they are."""
    if not (home / "panel" / _CERTIFICATE).exists():
        renew_keys(home)


def renew_keys(home: Path) -> None:
    """New ones; tokens that the old key signed are good for nothing once the registry was started anew."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    _write(home / "panel" / _KEY, pem, 0o600)
    _write(home / "panel" / _CERTIFICATE, made.public_bytes(Encoding.PEM), 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all."""
    beside = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    beside.replace(path)


# tokens -------------------------------------------------------------------------------------------


def token(subject: str, access: list[dict[str, Any]]) -> str:
    """`access`: `{"type", "name", "actions"}` of each; good for `LIFETIME_S` seconds."""
    home = settings.WADAH.home / "panel"
    certificate = x509.load_pem_x509_certificate((home / _CERTIFICATE).read_bytes())
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": subject,
        "aud": SERVICE,
        "exp": now + LIFETIME_S,
        "nbf": now - 10,
        "iat": now,
        "jti": uuid4().hex,
        "access": access,
    }
    chain = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()]
    key = (home / _KEY).read_text()
    return jwt.encode(claims, key, algorithm="ES256", headers={"x5c": chain})


# passes -------------------------------------------------------------------------------------------


def pass_for(tenant: UUID, repository: str, *, pushes: bool = False) -> str:
    """For a node, which pulls this repository for this tenant, or pushes there too. The same for all of an
    hour, so that a spec that is made anew says nothing new."""
    until = (int(time.time()) // _PASS_S + 2) * _PASS_S
    return signing.Signer(salt=_SALT).sign_object([str(tenant), repository, until, pushes])


def pass_for_all(tenant: UUID) -> str:
    """For a node, which pulls whatever this tenant and those above it have: images may be built on it."""
    return pass_for(tenant, ALL)


def tenant_of_pass(text: str) -> str:
    """Whose pass it is; empty for one that `read_pass` doesn't know."""
    return str(signing.Signer(salt=_SALT).unsign_object(text)[0]) if read_pass(text) else ""


def read_pass(text: str) -> tuple[str, bool] | None:
    """Which repository it is for, and whether it lets push; None for one that is forged or over."""
    try:
        _tenant, repository, until, pushes = signing.Signer(salt=_SALT).unsign_object(text)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return (str(repository), pushes is True) if isinstance(until, int) and time.time() < until else None

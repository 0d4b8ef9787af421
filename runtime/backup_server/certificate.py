"""The certificate that the server of backups shows: its own, which the panel passes on to the other nodes."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from runtime.files import replace_file
from runtime.node import Node

_YEARS = 20


def files(node: Node) -> tuple[Path, Path]:
    """The certificate and its key."""
    place = node.root / "backup-server"
    return place / "certificate.pem", place / "key.pem"


def known(node: Node) -> str:
    """In PEM; empty before the server has begun for the first time."""
    try:
        return files(node)[0].read_text()
    except OSError:
        return ""


def ensure(node: Node, host: str) -> tuple[Path, Path]:
    """Made where there is none, and anew for another host."""
    certificate, key = files(node)
    of = certificate.with_name("host")
    if certificate.exists() and key.exists() and of.exists() and of.read_text() == host:
        return certificate, key
    certificate.parent.mkdir(mode=0o700, exist_ok=True)
    for path, text in zip((key, certificate), _made(host), strict=True):
        replace_file(path, text)
    replace_file(of, host)
    return certificate, key


def _made(host: str) -> tuple[str, str]:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "backups of a node")])
    try:
        name: x509.GeneralName = x509.IPAddress(ip_address(host))
    except ValueError:
        name = x509.DNSName(host)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))  # clocks differ
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return plain.decode(), made.public_bytes(serialization.Encoding.PEM).decode()

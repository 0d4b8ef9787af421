"""SSH host keys made anew, in the formats of OpenSSH and dropbear, and a self-signed certificate."""

import re
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from runtime.contract.words import advice, refusals
from runtime.host.safetree import SafeTree, UnsafePath

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    Key = Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey

KINDS = ("ed25519", "ecdsa", "rsa")
_OPENSSH, _DROPBEAR = "/etc/ssh", ("/etc/dropbear", "/etc/dropbear-initramfs", "/etc/dropbear/initramfs")
_CONFIG, _CONFIG_DIRECTORY = "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d"
#: On one line, and in time that grows as the text does: who made the image wrote it, and the node's other
#: threads wait for a search to end.
_NAMED = re.compile(r'(?im)^[ \t]*HostKey[ \t=]+"?(/[^"\s]+)"?[ \t\r]*(?:#.*)?$')
#: Of all configuration together; a key takes a millisecond or two.
MOST_CHARACTERS, MOST_NAMED = 2**20, 32


@dataclass(frozen=True)
class _HostKey:
    path: str
    kind: str


def make_anew(tree: SafeTree) -> bool:
    """Whether there were any. Of the kinds that were there, RSA only where there is no other: it takes up to a
    second, and everything since 2014 speaks the others. DSA, which nothing takes any more, goes."""
    openssh = _openssh(tree)
    dropbear = [_dropbear(tree, directory) for directory in _DROPBEAR]
    for found in (openssh, *dropbear):
        for one in _wanted(found):
            _make(tree, one, dropbear=found is not openssh)
        for one in set(found) - set(_wanted(found)):
            for end in ("", ".pub"):
                tree.remove(one.path + end)
        for one in found:
            tree.remove(f"{one.path}-cert.pub")  # of the old key
    return bool(openssh or any(dropbear))


def _wanted(found: list[_HostKey]) -> list[_HostKey]:
    quick = [one for one in found if one.kind in ("ed25519", "ecdsa")]
    return quick or [one for one in found if one.kind == "rsa"][:1]


def _openssh(tree: SafeTree) -> list[_HostKey]:
    """Those that sshd looks for: named in its configuration, else its own four (sshd_config(5), HostKey)."""
    there = [
        _HostKey(f"{_OPENSSH}/{name}", name[9:-4])
        for name in tree.names(_OPENSSH)
        if re.fullmatch(r"ssh_host_[a-z0-9]+_key", name)
    ]
    named = [path for path in _named(tree) if tree.is_file(path)]
    known = {one.path for one in there}
    there += [_HostKey(path, _kind_of(tree, path)) for path in named if path not in known]
    if not named:
        return there
    for one in there:
        if one.path not in named:
            for end in ("", ".pub", "-cert.pub"):
                tree.remove(one.path + end)
    return [one for one in there if one.path in named]


def _named(tree: SafeTree) -> list[str]:
    """Raises `UnsafePath` for more than one start should spend its time on."""
    files = [_CONFIG, *(f"{_CONFIG_DIRECTORY}/{name}" for name in tree.names(_CONFIG_DIRECTORY))]
    found: dict[str, None] = {}
    left = MOST_CHARACTERS
    for file in files:
        text = ""
        with suppress(UnsafePath):
            text = (tree.read(file) or b"").decode(errors="replace")
        left -= len(text)
        if left >= 0:
            found |= dict.fromkeys(path for path in _NAMED.findall(text) if ".." not in path.split("/"))
        if left < 0 or len(found) > MOST_NAMED:
            raise UnsafePath(
                refusals.sshd_configuration(MOST_NAMED),
                next_step=advice.shorten_the_configuration(_CONFIG, _CONFIG_DIRECTORY),
            )
    return list(found)


def _kind_of(tree: SafeTree, path: str) -> str:
    public = b""
    with suppress(UnsafePath):
        public = tree.read(f"{path}.pub") or b""
    kinds = {b"ssh-rsa": "rsa", b"ecdsa-sha2-nistp256": "ecdsa"}
    by_name = next((kind for kind in KINDS if kind in path.rpartition("/")[2]), "ed25519")
    return kinds.get(public.split(b" ")[0], by_name)


def _dropbear(tree: SafeTree, directory: str) -> list[_HostKey]:
    pattern = re.compile(r"dropbear_([a-z0-9]+)_host_key")
    return [
        _HostKey(f"{directory}/{name}", found[1])
        for name in tree.names(directory)
        if (found := pattern.fullmatch(name))
    ]


def _make(tree: SafeTree, wanted: _HostKey, *, dropbear: bool) -> None:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 (30 ms, and hardly ever needed)

    key = _new(wanted.kind)
    if dropbear:
        return tree.replace(wanted.path, dropbear_form(key))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    tree.replace(wanted.path, private)
    if tree.is_file(f"{wanted.path}.pub"):
        tree.replace(f"{wanted.path}.pub", public + b"\n")
    return None


def _new(kind: str) -> "Key":
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415

    makers: dict[str, Callable[[], Key]] = {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 3072),
    }
    return makers[kind]()


def dropbear_form(key: "Key") -> bytes:
    """dropbear's own form of a private key: the strings of RFC 4251, 5, the public half first."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa  # noqa: PLC0415

    public: Any = key.public_key()
    raw, form = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return _string(b"ssh-ed25519") + _string(key.private_bytes_raw() + public.public_bytes(raw, form))
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        n, e = numbers.public_numbers.n, numbers.public_numbers.e
        parts = (e, n, numbers.d, numbers.p, numbers.q)
        return _string(b"ssh-rsa") + b"".join(_number(one) for one in parts)
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    strings = (b"ecdsa-sha2-nistp256", b"nistp256", point)
    return b"".join(_string(one) for one in strings) + _number(key.private_numbers().private_value)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _number(value: int) -> bytes:
    return _string(value.to_bytes(value.bit_length() // 8 + 1, "big"))


def self_signed(name: str) -> tuple[bytes, bytes]:
    """Key and certificate of this name by itself, in PEM, for ten years: what make-ssl-cert(8) makes, on the
    curve P-256."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)

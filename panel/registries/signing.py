"""By whose key what a registry has must be signed: what may be said of it."""

import base64
import binascii
from collections.abc import Iterable
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.utils.translation import gettext as _

from panel.contract_input import parse
from panel.errors import Invalid
from panel.registries.models import Registry
from runtime.contract import SignaturePolicy

_BEGIN: Final = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_END: Final = "-----END PGP PUBLIC KEY BLOCK-----"


def checked(signed_by: str, key: str, lookaside: str, *, insecure: bool) -> dict[str, str]:
    """The columns of a row. Raises `Invalid`."""
    key, lookaside = key.strip().replace("\r\n", "\n"), lookaside.strip()
    if not signed_by:
        if key or lookaside:
            raise Invalid(_("Say which kind of signature it is for: gpg or sigstore."), field="signed_by")
        return {"signed_by": "", "signature_key": "", "lookaside": ""}
    if signed_by not in ("gpg", "sigstore"):
        raise Invalid(_("Signatures are gpg or sigstore."), field="signed_by")
    if "PRIVATE KEY" in key:
        raise Invalid(
            _("This is a private key: only the public one belongs here."),
            field="signature_key",
            next_step=_("Whoever has it can sign for you: make a new pair."),
        )
    if signed_by == "gpg" and not _is_armoured(key):
        raise Invalid(_("The key is what gpg --armor --export KEY prints."), field="signature_key")
    if signed_by == "sigstore" and not _is_pem(key):
        raise Invalid(_("The key is the public one of a pair, in PEM: cosign.pub."), field="signature_key")
    if signed_by == "gpg" and not lookaside:
        raise Invalid(
            _("Say where the signatures lie: an address that begins with https://."), field="lookaside"
        )
    if signed_by == "sigstore" and lookaside:
        raise Invalid(_("Signatures of sigstore lie in the registry itself."), field="lookaside")
    if lookaside.startswith("http://") and not insecure:
        raise Invalid(
            _("Signatures are asked for by https://, unless the registry is one without TLS."),
            field="lookaside",
        )
    parse(SignaturePolicy, {"kind": signed_by, "key": key, "lookaside": lookaside}, "")
    return {"signed_by": signed_by, "signature_key": key + "\n", "lookaside": lookaside.rstrip("/")}


def _is_armoured(text: str) -> bool:
    """By RFC 4880, 6.2: headers, an empty line, base64, a checksum. What is in it gpg looks at."""
    if not text.startswith(_BEGIN) or not text.endswith(_END):
        return False
    lines = text.splitlines()[1:-1]
    body = lines[lines.index("") + 1 :] if "" in lines else []
    try:
        return bool(base64.b64decode("".join(one for one in body if not one.startswith("=")), validate=True))
    except (binascii.Error, ValueError):
        return False


def _is_pem(text: str) -> bool:
    try:
        load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True


def kind_of(row: Registry) -> Literal["gpg", "sigstore"] | None:
    """None: signatures aren't asked for."""
    if not row.signed_by:
        return None
    return "gpg" if row.signed_by == "gpg" else "sigstore"


def policies_of(rows: Iterable[Registry]) -> tuple[SignaturePolicy, ...]:
    """All that hold: a tenant's own takes nothing from those above it."""
    return tuple(
        SignaturePolicy(
            kind=kind,
            key=row.signature_key,
            lookaside=row.lookaside,
            insecure=row.insecure,
            inward=row.inward,
        )
        for row in rows
        if (kind := kind_of(row)) is not None
    )

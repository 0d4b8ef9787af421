"""Policies of signatures as the tools read them: containers-policy.json(5) and containers-registries.d(5).

Whether a signature is good is skopeo's to say, and buildah's, never ours.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from runtime.contract import SignaturePolicy

_ANYTHING: Final = [{"type": "insecureAcceptAnything"}]
#: What is signed is a repository and a digest. Tags are no part of it: cosign names none.
_IDENTITY: Final = {"type": "matchRepository"}
Policies = Mapping[str, Sequence[SignaturePolicy]]
"""By the host of the registry."""


def policy_document(policies: Policies) -> dict[str, Any]:
    """Of a host without a policy anything is taken, and of one with several what fits them all."""
    hosts = {host: [_required(one) for one in all_of] for host, all_of in policies.items() if all_of}
    return {"default": _ANYTHING, "transports": {"docker": hosts}}


def _required(one: SignaturePolicy) -> dict[str, Any]:
    key = base64.b64encode(one.key.encode()).decode()
    if one.kind == "gpg":
        return {"type": "signedBy", "keyType": "GPGKeys", "keyData": key, "signedIdentity": _IDENTITY}
    return {"type": "sigstoreSigned", "keyData": key, "signedIdentity": _IDENTITY}


def places_document(policies: Policies) -> dict[str, Any]:
    """Where signatures are looked for: in the registry, and at the first place that a policy names."""
    docker: dict[str, dict[str, Any]] = {}
    for host, all_of in policies.items():
        place = next((one.lookaside for one in all_of if one.lookaside), "")
        docker[host] = {"use-sigstore-attachments": True, **({"lookaside": place} if place else {})}
    return {"docker": docker}


def asked_places(
    policies: Iterable[SignaturePolicy],
) -> tuple[frozenset[tuple[str, int]], frozenset[tuple[str, int]]]:
    """Hosts and ports of signatures that may lie inward, and that may be asked without TLS."""
    inward, plain = set(), set()
    for one in policies:
        parts = urlsplit(one.lookaside)
        place = (parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443))
        if one.lookaside and one.inward:
            inward.add(place)
        if one.lookaside and one.insecure:
            plain.add(place)
    return frozenset(inward), frozenset(plain)


def mark(policies: Sequence[SignaturePolicy]) -> str:
    """What an image is noted with that fits them; empty where there are none."""
    if not policies:
        return ""
    whole = sorted((one.kind, one.key) for one in policies)
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()

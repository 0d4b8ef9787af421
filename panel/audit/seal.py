"""What holds a chain together: a digest over each record and the one before, and a sealed head."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings

if TYPE_CHECKING:
    from panel.audit.models import AuditHead, AuditRecord


def digest_of(row: "AuditRecord") -> str:
    """SHA-256 over the row's values and the digest before it."""
    values = [
        str(row.chain),
        row.sequence,
        _stamp(row.at),
        row.action,
        str(row.who_id or ""),
        row.who,
        str(row.token_id or ""),
        row.from_where,
        row.target_type,
        row.target_id,
        row.target_name,
        row.before,
        row.after,
        str(row.operation_id or ""),
        row.previous,
    ]
    if row.support_id is not None or row.is_denied:
        values += [str(row.support_id or ""), row.is_denied]
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def _stamp(at: datetime) -> int:
    """Microseconds since the epoch: what both databases keep exactly."""
    return round(at.timestamp() * 1_000_000)


def seal_of(chain: UUID, sequence: int, digest: str, key: str = "") -> str:
    """HMAC with a key that the database doesn't hold (by default the newest one)."""
    secret = f"audit {key or settings.SECRETS.field_keys[0]}".encode()
    return hmac.new(secret, f"{chain} {sequence} {digest}".encode(), hashlib.sha256).hexdigest()


def is_sealed(head: "AuditHead", keys: Sequence[str] = ()) -> bool:
    """By any of these keys, or of those that are still known."""
    known = keys or settings.SECRETS.field_keys
    seals = [seal_of(head.chain, head.sequence, head.digest, key) for key in known]
    return any(hmac.compare_digest(seal, head.seal) for seal in seals)

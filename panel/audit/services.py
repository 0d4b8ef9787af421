"""Writing and checking the audit record."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, models
from django.utils import timezone

from panel.accounts.actor import Actor
from panel.audit.models import AuditRecord

NO_TENANT = UUID(int=0)


def record(
    actor: Actor | None,
    action: str,
    *,
    tenant_id: UUID | None = None,
    target: models.Model | None = None,
    target_name: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    operation_id: UUID | None = None,
) -> AuditRecord:
    """Add a record within the caller's transaction. `actor` None: the panel itself did it.

    Never give it a secret. Of `before` and `after` only what changed belongs in.
    """
    chain = tenant_id or NO_TENANT
    _lock(chain)
    last = (
        AuditRecord.objects.filter(chain=chain).order_by("-sequence").values_list("sequence", "digest").first()
    )
    row = AuditRecord(
        chain=chain,
        sequence=last[0] + 1 if last else 1,
        at=timezone.now(),
        action=action,
        who_id=actor.user.pk if actor else None,
        who=actor.name if actor else "wadah",
        token_id=actor.token.pk if actor and actor.token else None,
        from_where=actor.address if actor else "",
        target_type=target._meta.model_name or "" if target is not None else "",
        target_id=str(target.pk) if target is not None else "",
        target_name=(target_name or str(target or ""))[:150],
        before=before or {},
        after=after or {},
        operation_id=operation_id,
        previous=last[1] if last else "",
    )
    row.digest = digest_of(row)
    row.save(force_insert=True)
    return row


def digest_of(row: AuditRecord) -> str:
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
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def _stamp(at: datetime) -> int:
    """Microseconds since the epoch: what both databases keep exactly."""
    return round(at.timestamp() * 1_000_000)


def _lock(chain: UUID) -> None:
    """One writer per chain until the transaction ends. SQLite has one writer anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [chain.int & 0x7FFF_FFFF_FFFF_FFFF])


@dataclass(frozen=True)
class Break:
    """Where a chain does not hold."""

    chain: UUID
    sequence: int
    why: str


def verify() -> tuple[int, list[Break]]:
    """Walk all chains: how many records there are, and every place where one was changed or is missing."""
    count = 0
    breaks: list[Break] = []
    chain, sequence, digest = None, 0, ""
    for row in AuditRecord.objects.order_by("chain", "sequence").iterator():
        count += 1
        if row.chain != chain:
            chain, sequence, digest = row.chain, 0, ""
        if row.sequence != sequence + 1:
            breaks.append(
                Break(row.chain, row.sequence, f"records {sequence + 1} to {row.sequence - 1} missing")
            )
        elif row.previous != digest:
            breaks.append(Break(row.chain, row.sequence, "does not follow from the record before it"))
        if row.digest != digest_of(row):
            breaks.append(Break(row.chain, row.sequence, "was changed after it was written"))
        sequence, digest = row.sequence, row.digest
    return count, breaks

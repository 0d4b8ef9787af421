"""Checking the audit record: whether a row was changed, taken out, put in, or cut off at the end."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from panel.audit.models import AuditHead, AuditRecord
from panel.audit.seal import digest_of, is_sealed
from panel.tenants.models import Tenant

#: Chain, number and digest of its last record: what can be kept elsewhere and compared with later.
Heads = dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Break:
    """Where a chain does not hold."""

    chain: UUID
    sequence: int
    why: str


def verify(known: Heads | None = None) -> tuple[int, list[Break]]:
    """Walk all chains: how many records there are, and every place where they don't hold.

    `known`: heads that were kept elsewhere at an earlier time; each must still be part of its chain, so that
    even who has the database and the panel's keys can't shorten it.
    """
    count = 0
    breaks: list[Break] = []
    ends: dict[UUID, tuple[int, str]] = {}
    waiting = {(UUID(chain), sequence): digest for chain, (sequence, digest) in (known or {}).items()}
    for row in AuditRecord.objects.order_by("chain", "sequence").iterator():
        count += 1
        sequence, digest = ends.get(row.chain, (0, ""))
        if row.sequence != sequence + 1:
            breaks.append(
                Break(row.chain, row.sequence, f"records {sequence + 1} to {row.sequence - 1} missing")
            )
        elif row.previous != digest:
            breaks.append(Break(row.chain, row.sequence, "does not follow from the record before it"))
        if row.digest != digest_of(row):
            breaks.append(Break(row.chain, row.sequence, "was changed after it was written"))
        if waiting.pop((row.chain, row.sequence), row.digest) != row.digest:
            breaks.append(Break(row.chain, row.sequence, "is not the record that was kept elsewhere"))
        ends[row.chain] = row.sequence, row.digest
    breaks += _wrong_heads(ends)
    breaks += [Break(c, n, "was kept elsewhere, and is missing") for c, n in waiting]
    return count, breaks


def _wrong_heads(ends: dict[UUID, tuple[int, str]]) -> Iterator[Break]:
    """Each chain ends where its sealed head says, and each tenant has one."""
    heads = {head.chain: head for head in AuditHead.objects.all()}
    for chain, head in heads.items():
        sequence, digest = ends.get(chain, (0, ""))
        if not is_sealed(head):
            yield Break(chain, head.sequence, "its head was not written by this panel")
        if sequence < head.sequence:
            yield Break(chain, head.sequence, f"records {sequence + 1} to {head.sequence} missing at the end")
        elif (sequence, digest) != (head.sequence, head.digest):
            yield Break(chain, sequence, "does not end as its head says")
    for chain in (ends.keys() | set(Tenant.objects.values_list("pk", flat=True))) - heads.keys():
        yield Break(chain, 0, "has no head")


def heads() -> Heads:
    return {str(head.chain): (head.sequence, head.digest) for head in AuditHead.objects.order_by("chain")}

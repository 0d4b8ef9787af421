"""Writing the audit record."""

from typing import Any
from uuid import UUID

import structlog
from django.core.cache import cache
from django.db import connection, models, transaction
from django.db.models import UUIDField
from django.utils import timezone

from panel.audit.models import AuditHead, AuditRecord
from panel.audit.rate_limit import admit
from panel.audit.seal import digest_of, seal_of
from panel.errors import Forbidden
from panel.prepared import Given, Prepared, PreparedUpdate
from panel.rights.actor import Actor

log = structlog.get_logger()

NO_TENANT = UUID(int=0)
#: Of one person; more are only logged, so that nobody fills the database by being refused.
DENIED_PER_MINUTE = 30
#: Of all who try names that nobody has.
UNKNOWN_PER_MINUTE = 60

_END = Prepared(
    lambda: AuditHead.objects.filter(chain=Given("chain", UUIDField())).values_list("sequence", "digest")
)

_MOVE_END = PreparedUpdate.of_row(AuditHead, ["sequence", "digest", "seal"])


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
    is_denied: bool = False,
    who: str = "",
    from_where: str = "",
) -> AuditRecord:
    """Add a record within the caller's transaction. `actor` None: the panel itself did it, or the one named by
    `who` and `from_where`, who isn't signed in.

    Never give it a secret. Of `before` and `after` only what changed belongs in. Raises `TooMany` for a deed of
    somebody who has done too many lately.
    """
    chain = tenant_id or NO_TENANT
    _lock(chain)
    sequence, digest = _end_of(chain)
    if actor is not None and not is_denied:
        admit(actor, action, tenant_id, sequence)
    row = AuditRecord(
        chain=chain,
        sequence=sequence + 1,
        at=timezone.now(),
        action=action,
        who_id=actor.user.pk if actor else None,
        who=actor.name if actor else who[:150] or "wadah",
        token_id=actor.token.pk if actor and actor.token else None,
        support_id=actor.support.pk if actor and actor.support else None,
        is_denied=is_denied,
        from_where=actor.address if actor else from_where[:64],
        target_type=target._meta.model_name or "" if target is not None else "",
        target_id=str(target.pk) if target is not None else "",
        target_name=(target_name or str(target or ""))[:150],
        before=before or {},
        after=after or {},
        operation_id=operation_id,
        previous=digest,
    )
    row.digest = digest_of(row)
    row.save(force_insert=True)
    end = {"sequence": row.sequence, "digest": row.digest, "seal": seal_of(chain, row.sequence, row.digest)}
    if not _MOVE_END.run(pk=chain, **end):
        AuditHead.objects.create(chain=chain, **end)
    return row


def record_denied(actor: Actor, refusal: Forbidden, tried: str) -> None:
    """That somebody was refused; `tried` as `POST /path`. In a transaction of its own."""
    count = _in_this_minute(f"denied:{actor.user.pk}")
    log.info("denied", user=actor.name, permission=refusal.permission, tried=tried)
    if count > DENIED_PER_MINUTE:
        return
    target = refusal.target if isinstance(refusal.target, models.Model) else None
    with transaction.atomic():
        record(
            actor,
            "denied",
            tenant_id=refusal.tenant_id,
            target=target,
            after={"permission": str(refusal.permission), "tried": tried[:200]},
            is_denied=True,
        )


def may_note_unknown() -> bool:
    """Whether one more sign-in under a name that nobody has is written down: all of them together have a pace,
    since they may come from as many addresses as somebody likes."""
    return _in_this_minute("denied:unknown") <= UNKNOWN_PER_MINUTE


def _in_this_minute(key: str) -> int:
    try:
        cache.add(key, 0, 60)
        return int(cache.incr(key))
    except Exception:  # the cache is away: better too many records than none
        return 1


def _end_of(chain: UUID) -> tuple[int, str]:
    """Number and digest of the chain's last record."""
    return _END.first(chain=chain) or (0, "")


def _lock(chain: UUID) -> None:
    """One writer per chain until the transaction ends. SQLite has one writer anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [chain.int & 0x7FFF_FFFF_FFFF_FFFF])

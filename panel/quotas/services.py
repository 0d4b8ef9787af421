"""Reserving and giving back, and the limits. `sums` decides; here the rows are locked and written."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, UUIDField
from django.utils import timezone
from django.utils.timezone import make_aware
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from panel.errors import Conflict, Invalid, QuotaExceeded
from panel.prepared import Given, Prepared
from panel.quotas.models import Quota, Resource
from panel.quotas.sums import Level, Move, Short, climb, promised
from panel.quotas.units import amounts_of, shown, shown_or_none, stored_or_none
from panel.tenants.models import Tenant

__all__ = [
    "amounts_of",
    "change",
    "check",
    "close_rows",
    "count_hit",
    "limits_of",
    "open_rows",
    "release",
    "reserve",
    "set_limits",
    "shown",
    "take_anyway",
]

#: How much of each resource, in stored units.
Amounts = Mapping[str, int]
_HIGHEST_LIMIT = 2**53
_LONGEST_GRACE_S = 366 * 86_400

_OVERBOOKED = Prepared(
    lambda: Quota.objects.filter(tenant=Given("tenant", UUIDField()), overbook_percent__gt=100).values_list(
        "pk", flat=True
    )[:1]
)
#: Those of a `Level`, in its order, but for the tenant.
_COLUMNS = 'id, resource, "limit", reserved, soft, grace_s, soft_since, overbook_percent, highest'
_IN_ENVIRONMENT = frozenset({Resource.CPU, Resource.MEMORY_MB, Resource.SWAP_MB, Resource.DISK_MB})


def reserve(tenant: Tenant, amounts: Amounts) -> None:
    """Take all of it on every level that it reaches, or raise `QuotaExceeded` naming what is short."""
    change(tenant, {resource: max(amount, 0) for resource, amount in amounts.items()})


def release(tenant: Tenant, amounts: Amounts) -> None:
    """Give back on every level; never below zero."""
    change(tenant, {resource: -max(amount, 0) for resource, amount in amounts.items()})


def take_anyway(tenant: Tenant, amounts: Amounts) -> None:
    """Count what is held in any case, even above the limit: an environment whose shrinking failed."""
    change(tenant, amounts, even_above=True)


def change(tenant: Tenant, deltas: Amounts, *, even_above: bool = False) -> None:
    """Add to and take from the tenant's sums, all or nothing.

    Must run in a transaction: the rows stay locked (PostgreSQL) or the database does (SQLite) to its
    end, so of many at once only as many pass as there is room for.
    """
    wanted = {resource: delta for resource, delta in deltas.items() if delta}
    if not wanted:
        return
    now = timezone.now()
    rows: list[Level] = []
    for level in reversed(tenant.chain):
        rows += _lock(level, wanted)
        moves, short = _plan(tenant, rows, wanted, now, even_above=even_above)
        if not _goes_on(moves, level):
            break
    if short is not None:
        raise _exceeded(short, tenant)
    _write(moves, now)


def _goes_on(moves: list[Move], last: UUID) -> bool:
    """Whether the change of any resource reaches beyond this tenant."""
    return any(move.level.tenant_id == last and move.passed_on for move in moves)


def _lock(tenant_id: UUID, resources: Iterable[str]) -> list[Level]:
    """The rows of one tenant, locked to the end of the transaction.

    Always from a tenant up to those above it, and within one by key: so two who need the same rows
    never wait for each other. Written by hand, as `_write` is.
    """
    wanted = list(resources)
    tenant = Quota._meta.get_field("tenant").get_db_prep_value(tenant_id, connection)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM quotas_quota WHERE tenant_id = %s "  # noqa: S608 - only names and placeholders
            f"AND resource IN ({', '.join(['%s'] * len(wanted))}) ORDER BY id"
            + (" FOR UPDATE" if connection.features.has_select_for_update else ""),
            [tenant, *wanted],
        )
        return [_level(tenant_id, *values) for values in cursor.fetchall()]


def _level(tenant_id: UUID, pk: int, resource: str, *values: Any) -> Level:
    level = Level(pk, tenant_id, resource, *values)
    if level.soft_since is None or level.soft_since.tzinfo is not None:
        return level
    return replace(level, soft_since=make_aware(level.soft_since, UTC))  # SQLite keeps no time zone


def _upwards(tenant: Tenant, rows: Iterable[Level], resource: str, *, above: bool = False) -> list[Level]:
    """The tenant's row and those of all above it, from the tenant up; `above`: without its own."""
    by_tenant = {level.tenant_id: level for level in rows if level.resource == resource}
    chain = tenant.chain[:-1] if above else tenant.chain
    return [by_tenant[one] for one in reversed(chain) if one in by_tenant]


def _plan(
    tenant: Tenant, rows: list[Level], deltas: Amounts, now: datetime, *, even_above: bool
) -> tuple[list[Move], Short | None]:
    """Moves of all resources, and the shortage to name: the tenant's own before those above it."""
    moves: list[Move] = []
    shorts: list[Short] = []
    for resource, delta in deltas.items():
        made, short = climb(_upwards(tenant, rows, resource), delta, now, even_above=even_above)
        moves += made
        if short is not None:
            shorts.append(short)
    shorts.sort(key=lambda short: short.level.tenant_id != tenant.pk)
    return moves, shorts[0] if shorts else None


def _write(moves: list[Move], now: datetime) -> None:
    """One UPDATE; the rows are locked, so plain values are right. Written by hand, since building the same
    with expressions takes longer than the database does for it."""
    if not moves:
        return
    case = " ".join(["WHEN %s THEN %s"] * len(moves))
    sums = [value for move in moves for value in (move.level.pk, move.reserved)]
    tops = [value for move in moves for value in (move.level.pk, max(move.level.highest, move.reserved))]
    pks = [move.level.pk for move in moves]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE quotas_quota SET reserved = CASE id {case} END, highest = CASE id {case} END "  # noqa: S608 - only placeholders
            f"WHERE id IN ({', '.join(['%s'] * len(pks))})",
            [*sums, *tops, *pks],
        )
    for move in moves:
        since = _soft_since(move, now)
        if since != move.level.soft_since:
            Quota.objects.filter(pk=move.level.pk).update(soft_since=since)


def _soft_since(move: Move, now: datetime) -> datetime | None:
    if move.level.soft is None or move.reserved <= move.level.soft:
        return None
    return move.level.soft_since or now


#: Of a quota, and of a soft limit whose grace time is over: the tenant's own, of one above, and told above.
_SENTENCES = {
    False: (
        gettext_noop("Not enough %(what)s: %(asked)s asked for, but your quota of %(most)s has %(left)s left."),
        gettext_noop("Not enough %(what)s: %(asked)s asked for, which the tenant above yours has not left."),
        gettext_noop(
            "Not enough %(what)s: %(asked)s asked for, but the quota of the tenant above yours of %(most)s has "
            "%(left)s left."
        ),
    ),
    True: (
        gettext_noop(
            "Not enough %(what)s: %(asked)s asked for, but your soft limit of %(most)s has %(left)s left, "
            "and its grace time is over."
        ),
        gettext_noop(
            "Not enough %(what)s: %(asked)s asked for, which the tenant above yours has not left below its "
            "soft limit, and its grace time is over."
        ),
        gettext_noop(
            "Not enough %(what)s: %(asked)s asked for, but the soft limit of the tenant above yours of "
            "%(most)s has %(left)s left, and its grace time is over."
        ),
    ),
}


def _exceeded(short: Short, tenant: Tenant, *, is_from_above: bool = False) -> QuotaExceeded:
    """With numbers where they are the asker's business: of his own tenant, or of one above `is_from_above`."""
    level, resource = short.level, short.level.resource
    bar = level.soft if short.by_soft else level.most
    left = max((bar or 0) - level.reserved, 0)
    own, above, from_above = _SENTENCES[short.by_soft]
    sentence = own if level.tenant_id == tenant.pk else from_above if is_from_above else above
    error = QuotaExceeded(
        _(sentence)
        % {
            "what": Resource(resource).label,
            "asked": f"{shown(resource, short.asked):g}",
            "most": f"{shown(resource, bar or 0):g}",
            "left": f"{shown(resource, left):g}",
        },
        field=resource if resource in _IN_ENVIRONMENT else "",
        next_step=_("Ask for less, free some of it, or ask for a larger quota."),
    )
    error.rows = (level.pk,)
    return error


def count_hit(error: QuotaExceeded) -> None:
    """Count a refusal. Called after the roll-back of what was refused, else the count would go with it."""
    if error.rows:
        Quota.objects.filter(pk__in=error.rows).update(hits=F("hits") + 1)


# limits -------------------------------------------------------------------------------------------


def open_rows(tenant: Tenant, limits: Mapping[str, float | None]) -> None:
    """The rows of a new tenant, one per resource; what is limited is taken from the tenant above."""
    known = check(limits)
    Quota.objects.bulk_create(
        [Quota(tenant=tenant, resource=r, limit=stored_or_none(r, known.get(r))) for r in Resource.values]
    )
    wanted = {r: stored_or_none(r, value) or 0 for r, value in known.items()}
    if tenant.parent is not None:
        reserve(tenant.parent, wanted)


def is_limited(tenant: Tenant, resource: Resource) -> bool:
    """Here or above: somebody has decided how many."""
    return Quota.objects.filter(tenant__in=tenant.chain, resource=resource, limit__isnull=False).exists()


def close_rows(tenant: Tenant) -> None:
    """Give the tenant above back what this one took from it. The rows go with the tenant."""
    if tenant.parent is not None:
        rows = Quota.objects.filter(tenant=tenant)
        release(tenant.parent, {row.resource: _taken_above(row) for row in rows})


def set_limits(tenant: Tenant, limits: Mapping[str, float | None]) -> None:
    """Change the named limits. One below what is reserved is kept: nothing new fits then.

    What a limit grows by is taken from the tenant above (`QuotaExceeded` when that has no room).
    """
    wanted = {r: stored_or_none(r, value) for r, value in check(limits).items()}
    if not wanted:
        return
    now = timezone.now()
    rows = [level for one in reversed(tenant.chain) for level in _lock(one, wanted)]
    moves: list[Move] = []
    for resource, limit in wanted.items():
        own = next(level for level in rows if level.resource == resource and level.tenant_id == tenant.pk)
        before = promised(own.limit, own.reserved, own.overbook_percent)
        after = promised(limit, own.reserved, own.overbook_percent)
        made, short = climb(_upwards(tenant, rows, resource, above=True), after - before, now)
        if short is not None:
            assert tenant.parent is not None
            error = _exceeded(short, tenant, is_from_above=True)
            error.field = f"quota.{resource}"
            raise error
        moves += made
    for resource, limit in wanted.items():
        Quota.objects.filter(tenant=tenant, resource=resource).update(limit=limit)
        if limit is not None:
            Quota.objects.filter(tenant=tenant, resource=resource, soft__gt=limit).update(soft=limit)
    _write(moves, now)


def set_soft(
    tenant: Tenant, soft: Mapping[str, float | None], grace_s: Mapping[str, int] | None = None
) -> None:
    """Change the named soft limits (None: none), and how long each may be passed, in seconds."""
    check(soft, "soft")
    now = timezone.now()
    for row in Quota.objects.select_for_update().filter(tenant=tenant).order_by("pk"):
        if row.resource in soft:
            row.soft = stored_or_none(row.resource, soft[row.resource])
            if row.soft is not None and row.limit is not None and row.soft > row.limit:
                raise Invalid(
                    _("The soft limit of %(resource)s is at most its limit of %(shown_or_none)s.")
                    % {
                        "resource": row.resource,
                        "shown_or_none": f"{shown_or_none(row.resource, row.limit):g}",
                    },
                    field=f"soft.{row.resource}",
                )
        if row.resource in (grace_s or {}):
            row.grace_s = _check_grace(row.resource, (grace_s or {})[row.resource])
        above = row.soft is not None and row.reserved > row.soft
        row.soft_since = (row.soft_since or now) if above else None
        row.save(update_fields=["soft", "grace_s", "soft_since"])


def _check_grace(resource: str, value: int) -> int:
    if not 0 <= value <= _LONGEST_GRACE_S:
        raise Invalid(_("A grace time is 0 to 31622400 seconds (a year)."), field=f"grace_s.{resource}")
    return value


def set_overbook(tenant: Tenant, ratios: Mapping[str, float]) -> None:
    """How many times its limit the tenant may hand out to its own environments, per resource.

    The kernel holds what they use to the limit, so only what it can hold may be overbooked, and only
    where all environments share one node and nothing is handed down to tenants below.
    """
    check(ratios, "overbook")
    for resource, ratio in ratios.items():
        if resource not in OVERBOOKABLE or not 1 <= ratio <= 10:
            names = ", ".join(sorted(OVERBOOKABLE))
            raise Invalid(
                _("overbook is 1 to 10 for %(names)s.") % {"names": names}, field=f"overbook.{resource}"
            )
    if any(ratio > 1 for ratio in ratios.values()) and tenant.children.exists():
        raise Conflict(
            _(
                "A tenant that has tenants below it can't overbook: the kernel holds each "
                "tenant to its own limit."
            ),
            code="has_children",
            field="overbook",
        )
    for row in Quota.objects.select_for_update().filter(tenant=tenant, resource__in=ratios).order_by("pk"):
        before = _taken_above(row)
        row.overbook_percent = round(ratios[row.resource] * 100)
        if row.overbook_percent > 100 and row.limit is None:
            raise Invalid(
                _("%(resource)s has no limit to overbook.") % {"resource": row.resource},
                field=f"overbook.{row.resource}",
            )
        if row.limit is not None and row.reserved * 100 > row.limit * row.overbook_percent:
            held, most = shown(row.resource, row.reserved), shown(row.resource, row.limit)
            raise Conflict(
                _(
                    "%(held)s of %(resource)s are handed out already, which is more than %(most)s "
                    "times %(ratios)s."
                )
                % {
                    "held": f"{held:g}",
                    "resource": row.resource,
                    "most": f"{most:g}",
                    "ratios": f"{ratios[row.resource]:g}",
                },
                code="below_reserved",
                field=f"overbook.{row.resource}",
            )
        row.save(update_fields=["overbook_percent"])
        if tenant.parent is not None and (more := _taken_above(row) - before):
            change(tenant.parent, {row.resource: more}, even_above=True)


def _taken_above(row: Quota) -> int:
    return promised(row.limit, row.reserved, row.overbook_percent)


#: What the kernel holds as a sum on a node, and so may be handed out more than once.
OVERBOOKABLE = frozenset({Resource.CPU, Resource.MEMORY_MB, Resource.PROCESSES, Resource.DISK_MB})


def is_overbooked(tenant: Tenant) -> bool:
    return bool(_OVERBOOKED.all(tenant=tenant.pk))


def check(limits: Mapping[str, float | None], prefix: str = "quota") -> dict[str, float | None]:
    """Raises `Invalid` for an unknown resource or a number that can't be."""
    for resource, value in limits.items():
        if resource not in Resource.values:
            names = ", ".join(Resource.values)
            raise Invalid(
                _("There is no resource %(resource)s; known are %(names)s.")
                % {"resource": resource[:40], "names": names},
                field=prefix,
            )
        if value is not None and not 0 <= value < _HIGHEST_LIMIT:
            raise Invalid(
                _("%(resource)s must be 0 or more, or null for no limit.") % {"resource": resource},
                field=f"{prefix}.{resource}",
            )
    return dict(limits)


def limits_of(tenant: Tenant) -> dict[str, float | int | None]:
    rows = {row.resource: row.limit for row in Quota.objects.filter(tenant=tenant)}
    return {r: shown_or_none(r, rows.get(r)) for r in Resource.values}

"""The row of one `Idempotency-Key` while its request is at work: whose it is, how long, and what came of it.

A row belongs to one holder, who says again and again that he lives. After a lease without a word he has died,
and the next one may take the row. Who comes back from the dead finds it taken, and what he did is rolled back.
"""

import math
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Length
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.api.models import IdempotencyRecord
from panel.audit.rate_limit import counted
from panel.errors import TooMany
from panel.rights.actor import Actor

log = structlog.get_logger()

KEPT = timedelta(days=1)
#: A holder who hasn't said for so long that he lives has died with his process.
LEASE = timedelta(seconds=60)
_RENEW_EVERY_S = 15.0
#: Of answers so large (the output of commands) one asker has so many kept, the newest; of others it is only
#: known that they were given. A retry comes soon.
LARGE_BYTES, MOST_LARGE = 64 * 2**10, 8


@cache
def boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def since_boot_s() -> float:
    """Nobody can set this clock; it counts while the machine sleeps (clock_gettime(2), CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Held:
    """The key is ours to work under."""

    pk: int
    holder: str

    def finish(self, **values: Any) -> bool:
        """Writes down what came of it. False: somebody else has taken the row meanwhile."""
        count = self._row().update(**values)
        KEEPER.forget(self)
        if count and len(values.get("answer") or b"") > LARGE_BYTES:
            _drop_large(self.pk)
        return count == 1

    def go_on(self, **values: Any) -> bool:
        """Of work that has begun and ends later, which nobody may begin anew. False as above."""
        return self._row().update(is_begun=True, **values) == 1

    def release(self) -> None:
        """The next one with this key begins anew."""
        KEEPER.forget(self)
        self._row().delete()

    def _row(self) -> "QuerySet[IdempotencyRecord]":
        return IdempotencyRecord.objects.filter(pk=self.pk, holder=self.holder)


def take(scope: str, key: str, fingerprint: str, asker: Actor) -> tuple[IdempotencyRecord, Held | None]:
    """The key's row, and the hold on it when it is ours. The unique constraint picks one of many at once.

    Raises `TooMany` for a new key of somebody who has used too many within the hour.
    """
    found = IdempotencyRecord.objects.filter(scope=scope, key=key).first()
    if found is not None and _is_over(found):
        IdempotencyRecord.objects.filter(pk=found.pk, holder=found.holder, status=found.status).delete()
        found = None
    if found is not None:
        return found, None
    if counted(f"keys:{scope}") > settings.WADAH.deeds_per_hour:
        raise TooMany(_("Too many requests with new keys within an hour."), code="too_many_keys")
    row = IdempotencyRecord(
        scope=scope,
        key=key,
        fingerprint=fingerprint,
        holder=secrets.token_hex(16),
        token_id=asker.token.pk if asker.token is not None else None,
        created_at=timezone.now(),
        created_since_boot_s=since_boot_s(),
        boot=boot(),
    )
    row.renewed_at, row.renewed_since_boot_s = row.created_at, row.created_since_boot_s
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:  # somebody was quicker
        return IdempotencyRecord(scope=scope, key=key, fingerprint=fingerprint), None
    held = Held(row.pk, row.holder)
    KEEPER.keep(held)
    return row, held


def _drop_large(pk: int) -> None:
    """All but the newest large answers of whoever asked for this one."""
    scope = IdempotencyRecord.objects.filter(pk=pk).values("scope")
    large = IdempotencyRecord.objects.filter(scope__in=scope).annotate(length=Length("answer"))
    old = large.filter(length__gt=LARGE_BYTES).order_by("-created_at").values_list("pk", flat=True)
    IdempotencyRecord.objects.filter(pk__in=list(old[MOST_LARGE:])).update(answer=None)


def has_died(row: IdempotencyRecord) -> bool:
    """Whether its holder is gone without an answer."""
    return row.status is None and _age_s(row, row.renewed_at, row.renewed_since_boot_s) > LEASE.total_seconds()


def _is_over(row: IdempotencyRecord) -> bool:
    """Kept long enough, or left behind before anything was begun."""
    if _age_s(row, row.created_at, row.created_since_boot_s) > KEPT.total_seconds():
        return not (row.status is None and not has_died(row))
    return has_died(row) and not row.is_begun


def _age_s(row: IdempotencyRecord, wall: datetime | None, since_boot: float) -> float:
    """Within a boot by the clock that nobody sets; of another boot by the wall clock, whichever way it went."""
    if row.boot == boot():
        return since_boot_s() - since_boot
    if wall is None:
        return math.inf
    return abs((timezone.now() - wall).total_seconds())


def forget_old() -> int:
    """Drop answers older than a day; how many."""
    now, seconds = timezone.now(), since_boot_s() - KEPT.total_seconds()
    elsewhere = Q(created_at__lt=now - KEPT) | Q(created_at__gt=now + KEPT)
    of_now = Q(boot=boot(), created_since_boot_s__lt=seconds) | (~Q(boot=boot()) & elsewhere)
    lives = Q(status=None, boot=boot(), renewed_since_boot_s__gt=since_boot_s() - LEASE.total_seconds())
    count, _ = IdempotencyRecord.objects.filter(of_now).exclude(lives).delete()
    return count


class _Keeper:
    """Says for this process's holders that they live; a thread that begins with the first of them."""

    def __init__(self) -> None:
        self._held: dict[Held, float] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def keep(self, held: Held) -> None:
        with self._lock:
            self._held[held] = time.monotonic()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="idempotency", daemon=True)
                self._thread.start()

    def forget(self, held: Held) -> None:
        with self._lock:
            self._held.pop(held, None)

    def _run(self) -> None:
        while True:
            time.sleep(_RENEW_EVERY_S)
            self.renew()

    def renew(self, older_than_s: float = _RENEW_EVERY_S / 2) -> None:
        """For those that are at work for a while; most are done before."""
        now = time.monotonic()
        with self._lock:
            old = [held for held, began in self._held.items() if now - began > older_than_s]
        if not old:
            return
        try:
            for held in old:
                held._row().update(renewed_at=timezone.now(), renewed_since_boot_s=since_boot_s())
        except DatabaseError as away:
            log.warning("hold not renewed", error=type(away).__name__)
        finally:
            if threading.current_thread() is self._thread:
                connection.close()


KEEPER = _Keeper()

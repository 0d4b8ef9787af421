"""Backups whose time is over go by themselves."""

from datetime import datetime, timedelta
from itertools import groupby

import structlog
from django.db import transaction

from panel.backups.keeping import is_held
from panel.backups.models import Backup
from panel.backups.services import forget
from panel.errors import Refused
from panel.operations.models import Operation, OperationKind

log = structlog.get_logger()

#: Of one sweep, and between two tries at those of one environment.
_MOST_AT_ONCE, _AGAIN_AFTER = 200, timedelta(hours=1)


def expire(now: datetime) -> int:
    """Deletes those whose time is over, those of one environment and target together; how many. What its node
    or target refused is tried again after an hour."""
    due = Backup.objects.filter(kept_until__lt=now, made_at__isnull=False, is_going=False)
    tried = Operation.objects.filter(kind=OperationKind.DELETE_BACKUP, created_at__gt=now - _AGAIN_AFTER)
    lately = set(tried.values_list("subject_id", flat=True)) if due.exists() else set()
    count = 0
    with transaction.atomic():
        rows = due.select_for_update(of=("self",), skip_locked=True).order_by("of", "target_id", "created_at")
        found = rows.select_related("tenant", "target__node", "environment__node")[:_MOST_AT_ONCE]
        for (of, _target), group in groupby(found, key=lambda one: (one.of, one.target_id)):
            together = list(group)
            if str(of) not in lately:
                count += _forget([one for one in together if not is_held(one)])
    return count


def _forget(rows: list[Backup]) -> int:
    if not rows:
        return 0
    try:
        with transaction.atomic():
            forget(None, rows)
    except Refused as refusal:
        log.warning("backups not expired", environment=str(rows[0].of), code=refusal.code)
        return 0
    return len(rows)

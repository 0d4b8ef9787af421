"""Exchanging the panel's keys: new ones first, everything at rest brought over, the old ones dropped last.

Ended at any point, all of it can be read, and the next run goes on from there.
"""

from pathlib import Path

from cryptography.fernet import InvalidToken
from django.db import transaction

from panel import at_rest
from panel.accounts import factors_at_rest
from panel.api.models import IdempotencyRecord
from panel.audit.models import AuditHead
from panel.audit.seal import is_sealed, seal_of
from panel.backups.models import Target
from panel.builds.models import BuildSource
from panel.config.secrets import Secrets
from panel.environments import secret_values
from panel.registries import own
from panel.registries.models import Registry
from panel.stacks.models import Stack


def rotate(home: Path, window_s: float) -> tuple[int, int]:
    """To be run while no other process of the panel does. How many answers and ends of chains were brought
    over. What was signed by the old key (sessions, invitations) is believed for `window_s` more."""
    secrets = Secrets.keep(home, Secrets.load(home).renewed(window_s))
    with transaction.atomic():
        answers = _encrypt_anew(secrets.field_keys)
        factors_at_rest.encrypt_anew(secrets.field_keys)
        at_rest.encrypt_anew(Registry.objects.all(), "password", secrets.field_keys)
        for field in ("given", "hook"):
            at_rest.encrypt_anew(BuildSource.objects.all(), field, secrets.field_keys)
        secret_values.encrypt_anew(secrets.field_keys)
        for field in ("password", "login"):
            at_rest.encrypt_anew(Target.objects.all(), field, secrets.field_keys)
        at_rest.encrypt_anew(Stack.objects.all(), "given", secrets.field_keys)
        ends = _seal_anew(secrets.field_keys)
    Secrets.keep(home, secrets.model_copy(update={"field_keys": secrets.field_keys[:1]}))
    own.renew_keys(home)
    return answers, ends


def _encrypt_anew(keys: list[str]) -> int:
    """Answers kept for `Idempotency-Key`; one that nobody can read any more is left as it is."""
    box = at_rest.box(keys)
    count = 0
    for row in IdempotencyRecord.objects.exclude(answer=None).iterator():
        try:
            row.answer = box.rotate(bytes(row.answer or b""))
        except InvalidToken:
            continue
        row.save(update_fields=["answer"])
        count += 1
    return count


def _seal_anew(keys: list[str]) -> int:
    """Only ends whose seal is good: a broken one stays broken, for `audit_verify` to find."""
    count = 0
    for head in AuditHead.objects.select_for_update():
        if is_sealed(head, keys):
            head.seal = seal_of(head.chain, head.sequence, head.digest, keys[0])
            head.save(update_fields=["seal"])
            count += 1
    return count

"""The public keys that a person keeps here."""

import base64
import hashlib
from collections.abc import Iterable
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from panel.accounts.models import SshKey
from panel.accounts.ssh_key_text import check_ssh_keys
from panel.audit.services import record
from panel.errors import Conflict, Invalid, NotFound, Refused
from panel.rights.actor import Actor
from panel.text import line

_MOST_KEYS = 50
_LONGEST_NAME = 60


def add_ssh_key(actor: Actor, *, text: str, name: str = "") -> SshKey:
    """Keep a key; without `name` it is called by its comment. Audited.

    Raises `Invalid` for what isn't one public key, `Conflict` for one that is kept already.
    """
    _refuse_narrow_token(actor)
    if not text.strip():
        raise Invalid(_("Paste one public key: a line as in ~/.ssh/id_ed25519.pub."), field="text")
    try:
        [key] = check_ssh_keys([text])
    except Invalid as refusal:
        refusal.field = "text"
        raise
    parts = key.split(None, 2)
    title = line(name.strip() or (parts[2] if len(parts) > 2 else parts[0])[:_LONGEST_NAME], most=_LONGEST_NAME)
    row = SshKey(user=actor.user, name=title, text=key, fingerprint=fingerprint_of(parts[1]))
    with transaction.atomic():
        if SshKey.objects.filter(user=actor.user).count() >= _MOST_KEYS:
            raise Conflict(
                _("At most %(most)s keys are kept.") % {"most": _MOST_KEYS},
                code="too_many_keys",
                next_step=_("Remove one first."),
            )
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(_("This key is kept already."), code="key_taken", field="text") from error
        record(actor, "ssh_key.add", target=row, after={"name": title, "fingerprint": row.fingerprint})
    return row


def remove_ssh_key(actor: Actor, key_id: UUID) -> SshKey:
    """Forget it. Environments that have it keep it. Audited."""
    _refuse_narrow_token(actor)
    with transaction.atomic():
        row = SshKey.objects.filter(user=actor.user, pk=key_id).first()
        if row is None:
            raise NotFound(_("This SSH key"))
        record(actor, "ssh_key.remove", target=row, before={"name": row.name, "fingerprint": row.fingerprint})
        row.delete()
    row.pk = key_id
    return row


def ssh_keys_of(actor: Actor, ids: Iterable[str] | None = None) -> list[SshKey]:
    """One's own, of `ids` where given."""
    rows = kept_keys(actor)
    return list(rows if ids is None else rows.filter(pk__in=list(ids)))


def kept_keys(actor: Actor) -> QuerySet[SshKey]:
    _refuse_narrow_token(actor)
    return SshKey.objects.filter(user=actor.user)


def fingerprint_of(blob: str) -> str:
    """SHA-256 of the decoded key, in base64 without padding (ssh-keygen(1), `-l`)."""
    digest = hashlib.sha256(base64.b64decode(blob)).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _refuse_narrow_token(actor: Actor) -> None:
    """Who holds a token for some things must not get a key of his own into what its person makes next."""
    if not actor.speaks_for_its_person:
        raise Refused(
            _("A token with a tenant or a list of permissions has no say over its person's SSH keys."),
            code="forbidden",
            status=403,
            next_step=_("Change them on the profile page."),
        )

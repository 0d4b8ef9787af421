"""Passwords of repositories, encrypted in the database, and locked for the node that works on one."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.translation import gettext as _

from panel.backups.models import Target
from panel.errors import Conflict
from panel.nodes.sealed import key_of
from runtime.contract import BackupSecrets, Locked, Repository


def _box(keys: Sequence[str]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypted(password: str) -> str:
    return _box(settings.SECRETS.field_keys).encrypt(password.encode()).decode()


def repository_of(target: Target) -> Repository:
    return Repository(tenant_id=target.tenant_id, name=target.name)


def locked(target: Target, *, about: str = "") -> Locked:
    """What opens the repository, for its node alone. Raises `Conflict` when nobody can read it any more."""
    key = key_of(target.node.name)
    if not key:
        raise Conflict(
            _("The panel shares no key with the node %(node)s.") % {"node": target.node.name},
            code="no_node_key",
            next_step=_("An administrator runs ./wadah up on it."),
        )
    try:
        password = _box(settings.SECRETS.field_keys).decrypt(target.password).decode()
        secrets = BackupSecrets(password=password, about=about)
        return Locked.of(secrets, repository_of(target), key=key)
    except (InvalidToken, ValueError) as odd:
        raise Conflict(
            _("The password of %(target)s can't be read any more.") % {"target": target},
            code="password_lost",
            next_step=_("Make the target anew with the password that its repository has."),
        ) from odd


def encrypt_anew(keys: Sequence[str]) -> int:
    """By the first key, what any of them can read; how many. What nobody can read is left as it is."""
    count = 0
    for row in Target.objects.iterator():
        try:
            row.password = _box(keys).rotate(row.password.encode()).decode()
        except InvalidToken:
            continue
        row.save(update_fields=["password"])
        count += 1
    return count

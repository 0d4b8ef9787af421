"""What opens a repository, locked for the node that works on it."""

from django.utils.translation import gettext as _

from panel.at_rest import plain
from panel.backups.models import Target
from panel.errors import Conflict
from panel.nodes.sealed import key_of
from runtime.contract import BackupSecrets, Locked, Repository


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
        secrets = BackupSecrets(password=plain(target.password), about=about)
        return secrets.locked(repository_of(target), key=key)
    except ValueError as odd:
        raise Conflict(
            _("The password of %(target)s can't be read any more.") % {"target": target},
            code="password_lost",
            next_step=_("Make the target anew with the password that its repository has."),
        ) from odd

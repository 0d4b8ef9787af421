"""Where a repository lies, and what opens it, locked for the node that works on it."""

from django.utils.translation import gettext as _
from pydantic import TypeAdapter

from panel.at_rest import plain
from panel.backups.models import Backup, Target
from panel.errors import Conflict
from panel.nodes.models import Node, NodeState
from panel.nodes.sealed import key_of
from runtime.contract import BackupSecrets, BackupSource, Locked, Repository
from runtime.contract.backup_place import Login, Place

_PLACE: TypeAdapter[Place] = TypeAdapter(Place)
_LOGIN: TypeAdapter[Login] = TypeAdapter(Login)


def repository_of(target: Target) -> Repository:
    place = _PLACE.validate_python(target.place) if target.place is not None else None
    return Repository.model_validate(
        {
            "kind": target.kind,
            "tenant_id": target.tenant_id,
            "name": target.name,
            "place": place,
            "upload_mbit_s": target.upload_mbit_s,
            "download_mbit_s": target.download_mbit_s,
        }
    )


def locked(target: Target, node: Node, *, about: str = "") -> Locked:
    """What opens the repository, for one node alone. Raises `Conflict` when nobody can read it any more."""
    key = key_of(node.name)
    if not key:
        raise Conflict(
            _("The panel shares no key with the node %(node)s.") % {"node": node.name},
            code="no_node_key",
            next_step=_("An administrator runs ./wadah up on it."),
        )
    try:
        login = _LOGIN.validate_json(plain(target.login)) if target.login else None
        secrets = BackupSecrets(password=plain(target.password), login=login, about=about)
        return secrets.locked(repository_of(target), key=key)
    except ValueError as odd:
        raise Conflict(
            _("The password of %(target)s can't be read any more.") % {"target": target},
            code="password_lost",
            next_step=_("Make the target anew with the password that its repository has."),
        ) from odd


def node_of(backup: Backup) -> Node:
    """That works on it: whose directory the target is; of a server, that of the environment, and any one when
    that is gone."""
    if backup.volume is not None and backup.target.node is None:
        return backup.volume.node
    environment = backup.environment
    if environment is not None and environment.deleted_at is None and backup.target.node is None:
        return environment.node
    return node_at(backup.target)


def node_at(target: Target) -> Node:
    """That asks about it. Raises `Conflict` where there is none."""
    if target.node is not None:
        return target.node
    nodes = sorted(Node.objects.all(), key=lambda one: (one.state != NodeState.ENABLED, not one.is_online()))
    if not nodes:
        raise Conflict(_("There is no node yet."), code="no_node")
    return nodes[0]


def source_for(backup: Backup, node: Node) -> BackupSource:
    """For a node that reads it. Raises `Conflict` when nobody can open it any more."""
    return BackupSource(
        repository=repository_of(backup.target),
        secrets=locked(backup.target, node),
        snapshot=backup.snapshot,
    )

"""Where a repository lies, and what opens it, locked for the node that works on it."""

from django.conf import settings
from django.utils.translation import gettext as _
from pydantic import TypeAdapter

from panel.at_rest import plain
from panel.backups.models import Backup, Target
from panel.errors import Conflict, Invalid
from panel.nodes.models import Node, NodeState
from panel.nodes.sealed import key_of
from runtime.contract import (
    BackupPass,
    BackupSecrets,
    BackupSource,
    Locked,
    NodeLogin,
    NodePlace,
    Repository,
)
from runtime.contract.backup_place import Login, Place

_PLACE: TypeAdapter[Place] = TypeAdapter(Place)
_LOGIN: TypeAdapter[Login] = TypeAdapter(Login)


def repository_of(target: Target) -> Repository:
    """Raises `Conflict` where its node lets the others have nothing there (any more)."""
    place = _PLACE.validate_python(target.place) if target.place is not None else None
    if target.kind == Target.Kind.NODE:
        place = _at_node(target)
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


def _at_node(target: Target) -> NodePlace:
    """As the node says itself where it is reached, and by which certificate."""
    node = target.node
    assert node is not None
    server = node.facts.get("backup_server")
    if not server:
        raise Conflict(
            _("The node %(node)s lets other nodes have no backups there.") % {"node": node.name},
            code="no_backup_server",
            next_step=_("An administrator names backup_directory and backup_server in its settings."),
        )
    return NodePlace(node=node.name, **server)


def _login_of(target: Target, node: Node) -> Login | None:
    """What opens the server that it lies on, for one node."""
    if target.kind != Target.Kind.NODE:
        return _LOGIN.validate_json(plain(target.login)) if target.login else None
    assert target.node is not None
    given = BackupPass.issue(
        node=target.node.name, asker=node.name, tenant_id=target.tenant_id, name=target.name
    )
    return NodeLogin(token=given.sign(settings.SECRETS.ticket_key))


def locked(target: Target, node: Node, *, about: str = "") -> Locked:
    """What opens the repository, for one node alone. Raises `Conflict` when nobody can read it any more."""
    key = key_of(node.name)
    if not key:
        raise Conflict(
            _("The panel shares no key with the node %(node)s.") % {"node": node.name},
            code="no_node_key",
            next_step=_("An administrator runs ./wadah up on it."),
        )
    repository = repository_of(target)
    try:
        secrets = BackupSecrets(password=plain(target.password), login=_login_of(target, node), about=about)
        return secrets.locked(repository, key=key)
    except ValueError as odd:
        raise Conflict(
            _("The password of %(target)s can't be read any more.") % {"target": target},
            code="password_lost",
            next_step=_("Make the target anew with the password that its repository has."),
        ) from odd


def node_of(backup: Backup) -> Node:
    """That works on it: whose directory the target is; of a server or another node, that of the environment,
    and when that is gone any one, or the other node."""
    if (here := backup.target.only_node) is not None:
        return here
    environment = backup.environment
    home = backup.volume.node if backup.volume is not None else None
    if environment is not None and environment.deleted_at is None:
        home = environment.node
    is_lost = home is not None and backup.target.node is not None and not home.is_online()
    return node_at(backup.target) if home is None or is_lost else home


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


def node_for(backup: Backup, text: str) -> Node | None:
    """That is named, by name or id; None: any. Raises `Invalid`, also for one that can't get at the backup."""
    only = backup.target.only_node
    if not text:
        return only
    found = next((one for one in Node.objects.all() if text in (one.name, str(one.pk))), None)
    if found is None:
        raise Invalid(_("There is no such node."), field="node")
    if only not in (None, found):
        raise Invalid(
            _("The backup lies in a directory of %(node)s, which no other node gets at.") % {"node": only},
            field="node",
            code="other_node",
            next_step=_("Restore it there, or back up to a target that other nodes get at."),
        )
    return found

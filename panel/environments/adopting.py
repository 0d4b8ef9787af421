"""Rows made true again by what a node was told: the database is older than that, since it was restored.

A node goes on with the newest it knows, and drops what is older. So a row that is behind takes over what its
node has, and an environment that has no row gets one; nothing on the node is changed by that.
"""

import structlog
from django.db import transaction
from django.utils import timezone

from panel.at_rest import encrypted
from panel.audit.services import record
from panel.environments import placement
from panel.environments.document import Intent, NetworkOptions
from panel.environments.features import FEATURES
from panel.environments.models import Environment
from panel.environments.options import fresh
from panel.environments.services.intent import announce, audited, difference
from panel.nodes.models import Node
from panel.nodes.sealed import key_of
from panel.tenants.models import Tenant
from runtime.contract import AppRun, DesiredState, EnvironmentSpec
from runtime.contract.secret import open_secrets

log = structlog.get_logger()

#: Parts of the document that a spec has under the same name.
_SAME = tuple(sorted(set(Intent.model_fields) & set(EnvironmentSpec.model_fields) - {"network", "app"}))
_LONGEST_NAME = 63


def adopt(node: Node, tenant: Tenant, spec: EnvironmentSpec) -> Environment | None:
    """The row, made as its node has it; None where it knows as much, or more. The sums of quotas and of the
    node are to be counted anew afterwards."""
    with transaction.atomic():
        row = Environment.objects.select_for_update(of=("self",)).filter(pk=spec.id).first()
        if row is None and spec.desired is DesiredState.DELETED:
            return None  # on its way out, and nobody's any more
        if row is not None and (row.deleted_at is not None or row.generation >= spec.generation):
            return None
        is_new = row is None
        if row is None:
            row = Environment(id=spec.id, intent=fresh(spec.limits.model_dump()), created_by=None)
            row.name = _free_name(tenant, spec.name)
        row.tenant, row.node = tenant, node
        before = {} if is_new else audited(row)
        _take_over(row, spec)
        _make_room(row)
        row.save(force_insert=is_new)
        for feature in FEATURES:
            feature.adopted(row, spec)
        changed = ({}, audited(row)) if is_new else difference(before, audited(row))
        record(
            None,
            "environment.adopt",
            tenant_id=tenant.pk,
            target=row,
            before=changed[0],
            after={**changed[1], "generation": spec.generation},
            who=f"node {node.name}",
        )
        announce(row)
    return row


def _take_over(row: Environment, spec: EnvironmentSpec) -> None:
    """What the spec says; of what it doesn't say (a description, a plan), the row stays as it is."""
    network = {name: getattr(spec.network, name) for name in NetworkOptions.model_fields}
    app = spec.app and AppRun(**{name: getattr(spec.app, name) for name in AppRun.model_fields})
    document = Intent(
        network=NetworkOptions(**network),
        app=app,
        protected=bool(row.intent.get("protected")),
        **{name: getattr(spec, name) for name in _SAME},
    )
    row.intent = document.model_dump(mode="json")
    row.kind, row.kernel = spec.kind, spec.kernel
    row.image, row.slot = spec.made_from, spec.slot
    row.generation, row.desired_state = spec.generation, spec.desired
    row.boots, row.installs, row.keep_old_root = spec.boots, spec.installs, spec.keep_old_root
    row.ssh_keys = list(spec.credentials.ssh_keys)
    row.root_password_hash = spec.credentials.root_password_hash or ""
    row.credentials_revision = spec.credentials.revision
    row.secrets = _secrets_of(row, spec)
    row.operation_id, row.stop_within_s = None, None
    row.version += 1
    row.sent_at, row.send_attempts = timezone.now(), 1
    is_out = spec.desired is not DesiredState.STOPPED or bool(spec.network.ipv4 or spec.network.ipv6)
    if row.trashed_at is not None and is_out:
        row.trashed_at = row.trash_ends_at = None
        row.trash = {}


def _secrets_of(row: Environment, spec: EnvironmentSpec) -> dict[str, dict[str, str]]:
    """Of an app, opened by the key that the panel shares with its node, and encrypted by the panel's own."""
    if spec.app is None or spec.app.locked is None:
        return {}
    try:
        values = open_secrets(spec.app.locked, spec.id, key=key_of(row.node.name))
    except ValueError:
        log.warning("secrets of an app not opened", environment=str(spec.id))
        kept: dict[str, dict[str, str]] = row.secrets
        return kept
    counts = spec.app.secrets
    return {name: {str(counts[name]): encrypted(text)} for name, text in values.items() if name in counts}


def _make_room(row: Environment) -> None:
    """Its range of user ids is its own, whatever the rows say: who has it there besides isn't on the node."""
    others = Environment.objects.filter(node=row.node, slot=row.slot).exclude(pk=row.pk)
    for other in others.select_for_update(of=("self",)).select_related("node"):
        gone = other.deleted_at is not None
        other.slot = None if gone else placement.free_slot(other.node)
        other.save(update_fields=["slot"])


def _free_name(tenant: Tenant, name: str) -> str:
    """That of its host, or one like it where another of its tenant has that by now."""
    taken = Environment.objects.in_use().filter(tenant=tenant)
    wanted, number = name, 2
    while taken.filter(name=wanted).exists():
        end = f"-{number}"
        wanted, number = f"{name[: _LONGEST_NAME - len(end)]}{end}", number + 1
    return wanted


def bury(row: Environment, generation: int) -> bool:
    """Its node has deleted it since; the node is asked once more, says so, and everything is given back then.
    False where the row is newer than that."""
    with transaction.atomic():
        row = Environment.objects.select_related("tenant").select_for_update(of=("self",)).get(pk=row.pk)
        if row.deleted_at is not None or row.generation > generation:
            return False
        row.desired_state, row.generation, row.observed_generation = DesiredState.DELETED, generation, 0
        row.sent_at, row.send_attempts = None, 0
        row.save()
        record(
            None, "environment.adopt", tenant_id=row.tenant_id, target=row, after={"desired_state": "deleted"}
        )
        announce(row)
    return True

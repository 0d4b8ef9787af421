"""What this node was told, read from its records, for a panel that has forgotten it."""

import os
from contextlib import suppress
from uuid import UUID

from runtime import tenants
from runtime.contract import EnvironmentSpec, NodeTold, TenantEnvelope, VolumeThere
from runtime.known import known_environments
from runtime.node import Node
from runtime.state import Records, SubjectRecords
from runtime.storage.volumes import MIB, Volumes, number_of


def told(node: Node) -> NodeTold:
    """All of it, as it is now. What can't be read any more is left out."""
    every = (_standing(Records(node, one)) for one in known_environments(node))
    specs = tuple(one for one in every if one is not None)
    return NodeTold(
        node=node.name,
        specs=specs,
        buried=_buried(node),
        envelopes=_envelopes(node, specs),
        volumes=tuple(_volumes(node)),
    )


def _standing(records: Records) -> EnvironmentSpec | None:
    """As it was sent, not as its tenant's state makes of it. None of a create that was given up."""
    wanted = SubjectRecords.wanted(records)
    if wanted is None or records.state().failed != wanted.generation:
        return wanted
    before = SubjectRecords.applied(records)
    return before.model_copy(update={"generation": wanted.generation}) if before is not None else None


def _buried(node: Node) -> dict[UUID, int]:
    found = {}
    for entry in os.scandir(node.root / "tombstones"):
        with suppress(ValueError):
            one = UUID(entry.name)  # of jobs the names begin otherwise
            found[one] = Records(node, one).tombstone()
    return found


def _envelopes(node: Node, specs: tuple[EnvironmentSpec, ...]) -> dict[UUID, TenantEnvelope]:
    """The newest of each tenant: its file's, or that of one of its specs."""
    found: dict[UUID, TenantEnvelope] = {}
    for spec in specs:
        kept = tenants.read(tenants.text_of(node, spec.tenant_id))
        for one in (kept, spec.envelope):
            before = found.get(spec.tenant_id)
            if one is not None and (before is None or one.revision > before.revision):
                found[spec.tenant_id] = one
    return found


def _volumes(node: Node) -> list[VolumeThere]:
    volumes = Volumes(node)
    found = []
    for one in volumes.there():
        limit = volumes.quotas.limit_bytes(1, number_of(one))
        if limit is not None and limit >= MIB:
            found.append(VolumeThere(id=one, size_mb=limit // MIB))
    return found

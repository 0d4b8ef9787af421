"""Attachments made as a node has them, and volumes that only the node knows."""

from uuid import UUID

from django.utils import timezone

from panel.environments.models import Environment
from panel.nodes.models import Node
from panel.tenants.models import Tenant
from panel.volumes.models import Attachment, Volume
from runtime.contract import EnvironmentSpec, VolumeThere


def adopt_volume(node: Node, tenant: Tenant, there: VolumeThere) -> Volume | None:
    """A row for one that an environment of the tenant has; None where there is one."""
    if Volume.objects.filter(pk=there.id).exists():
        return None
    return Volume.objects.create(
        id=there.id,
        tenant=tenant,
        node=node,
        name=f"found-{there.id.hex[:8]}",
        size_mb=there.size_mb,
        made_at=timezone.now(),
    )


def adopt(environment: Environment, spec: EnvironmentSpec) -> None:
    """The volumes have rows by now. One that several have, and one of them writes, counts as shared."""
    wanted: dict[UUID, tuple[str, bool]] = {one.volume_id: (one.path, one.read_only) for one in spec.volumes}
    rows = Attachment.objects.filter(environment=environment)
    rows.delete()
    known = set(Volume.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    Attachment.objects.bulk_create(
        Attachment(
            volume_id=pk,
            environment=environment,
            path=path,
            read_only=is_read,
            generation=spec.generation,
            made=True,
        )
        for pk, (path, is_read) in wanted.items()
        if pk in known
    )
    for pk in known:
        beside = Attachment.objects.filter(volume_id=pk)
        if beside.count() > 1 and beside.filter(read_only=False).exists():
            Volume.objects.filter(pk=pk).update(is_shared=True)

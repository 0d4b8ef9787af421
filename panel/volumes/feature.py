"""What volumes are to each environment: its attachments."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Sum, UUIDField
from django.utils.translation import gettext_lazy

from panel.environments.features import Feature, Parts, Reserved, Tab
from panel.environments.models import Environment
from panel.environments.observe import gave_up
from panel.environments.services.intent import advance
from panel.operations.models import OperationKind
from panel.prepared import Given, Prepared
from panel.quotas.models import Resource
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from panel.volumes import adopting, attaching, services
from panel.volumes.models import Attachment, Volume, VolumeSnapshot
from panel.volumes.with_create import FromTheStart, named
from runtime.contract import AttachedVolume, EnvironmentSpec, Kernel, Report

_WANTED = Prepared(lambda: Attachment.objects.wanted().filter(environment=Given("environment", UUIDField())))
_OPEN = Prepared(lambda: Attachment.objects.open().filter(environment=Given("environment", UUIDField())))


class AttachedVolumes(Feature):
    tabs = (Tab("volumes", gettext_lazy("Volumes"), 33, needs_boot=True),)

    def check_asked(self, asked: Mapping[str, Any]) -> None:
        named(asked.get("volumes") or ())

    def reserve(self, environment: Environment, asked: Mapping[str, Any]) -> Reserved:
        found = named(asked.get("volumes") or ())
        if found:
            attaching.refuse_on_kernel(environment)
        return FromTheStart(environment, found) if found else Reserved()

    def parts(self, environment: Environment) -> Parts:
        wanted = tuple(
            AttachedVolume(volume_id=one.volume_id, path=one.path, read_only=one.read_only)
            for one in _WANTED.all(environment=environment.pk)
        )
        return {"volumes": wanted} if wanted else {}

    def refuse_kernel(self, environment: Environment, kernel: Kernel) -> None:
        if kernel is not Kernel.SHARED and Attachment.objects.wanted().filter(environment=environment).exists():
            raise attaching.not_on_this_kernel()

    def reported(self, environment: Environment, report: Report) -> None:
        if not report.final:
            return
        refused = False
        for one in _OPEN.all(environment=environment.pk):
            asked = one.generation if one.removal is None else one.removal
            if report.generation >= asked:
                _brought_about(one)
            elif gave_up(report, asked) and report.generation:
                # one that was never made begins with all that it was asked for, when it is tried again
                _take_back(one)
                refused = True
        if refused:
            _go_on_without(environment, report)

    def asked_again(
        self, actor: Actor, environment: Environment, kind: str, details: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        return attaching.asked_again(actor, environment, details) if kind == OperationKind.VOLUMES else {}

    def trashed(self, environment: Environment) -> Mapping[Resource, int]:
        """They go to whoever wants them meanwhile."""
        rows = Attachment.objects.wanted().filter(environment=environment)
        environment.trash["volumes"] = [
            {"volume": str(one.volume_id), "path": one.path, "read_only": one.read_only} for one in rows
        ]
        return self.gone(environment)

    def brought_back(self, environment: Environment) -> Mapping[str, Any]:
        return attaching.bring_back(environment, environment.trash.get("volumes", ()))

    def adopted(self, environment: Environment, spec: EnvironmentSpec) -> None:
        adopting.adopt(environment, spec)

    def gone(self, environment: Environment) -> Mapping[Resource, int]:
        """Its volumes stay, and go to another."""
        Attachment.objects.filter(environment=environment).delete()
        return {}

    def emptied(self, tenant: Tenant) -> bool:
        return services.delete_all(tenant)

    def shown_alone(self, environment: Environment) -> Mapping[str, Any]:
        rows = Attachment.objects.filter(environment=environment).select_related("volume")
        return {
            "volumes": [
                {
                    "volume": str(one.volume_id),
                    "name": one.volume.name,
                    "path": one.path,
                    "read_only": one.read_only,
                    "state": str(one.state),
                }
                for one in rows
            ]
        }

    def held(self) -> Iterator[tuple[UUID, Resource, int]]:
        sums = Volume.objects.values_list("tenant_id").annotate(n=Sum("size_mb")).order_by()
        for tenant_id, size_mb in sums:
            yield tenant_id, Resource.DISK_MB, size_mb + _shrinking("tenant", tenant_id)
        counts = VolumeSnapshot.objects.values_list("tenant_id").annotate(n=Count("pk")).order_by()
        for tenant_id, count in counts:
            yield tenant_id, Resource.SNAPSHOTS, count

    def placed(self) -> Iterator[tuple[UUID, int]]:
        for node_id, size_mb in Volume.objects.values_list("node_id").annotate(n=Sum("size_mb")).order_by():
            yield node_id, size_mb + _shrinking("node", node_id)

    def examine(self, living: Sequence[Environment]) -> Iterator[str]:
        ids = {row.pk for row in living}
        for one in Attachment.objects.select_related("volume"):
            if one.environment_id not in ids:
                yield f"volume {one.volume} is attached to an environment that is gone"


def _shrinking(field: str, pk: UUID) -> int:
    """MiB that are held until a node has made them smaller."""
    rows = Volume.objects.filter(before_mb__gt=F("size_mb"), **{field: pk})
    return sum(rows.values_list(F("before_mb") - F("size_mb"), flat=True))


def _brought_about(one: Attachment) -> None:
    if one.removal is not None:
        Attachment.objects.filter(pk=one.pk).delete()
    else:
        Attachment.objects.filter(pk=one.pk).update(made=True)


def _take_back(one: Attachment) -> None:
    """The node keeps to what was: one that could not be attached isn't, one that is in use stays."""
    if one.removal is None:
        Attachment.objects.filter(pk=one.pk).delete()
    else:
        Attachment.objects.filter(pk=one.pk).update(removal=None)


def _go_on_without(environment: Environment, report: Report) -> None:
    """The next generation says what is so, that the node needs not be asked for the other one again."""
    if environment.generation == report.attempted_generation:
        undone = {"undoes": str(report.operation_id)}
        advance(None, environment, OperationKind.VOLUMES, details=undone)

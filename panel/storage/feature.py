"""What storage has of each environment: snapshots, and the snapshot that its root came from."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, UUIDField
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy

from panel.environments.features import Feature, Parts, Points, Reserved, Tab, newest_points
from panel.environments.models import Environment
from panel.environments.observe import gave_up
from panel.operations.models import OperationKind
from panel.prepared import Given, Prepared
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.storage import adopting, schedules, services
from panel.storage.models import Origin, Reason, Schedule, Snapshot
from panel.storage.origins import source_of
from runtime.contract import EnvironmentSpec, Report
from runtime.contract import Origin as OriginPart

_WANTED = Prepared(lambda: Snapshot.objects.wanted().filter(environment=Given("environment", UUIDField())))
_OPEN = Prepared(lambda: Snapshot.objects.open().filter(environment=Given("environment", UUIDField())))


class FromSnapshot(Reserved):
    """The root of a new environment, from another one's snapshot."""

    def __init__(self, environment: Environment, source: UUID, snapshot: UUID) -> None:
        self._origin = Origin(
            environment=environment,
            source=source,
            snapshot=snapshot,
            installs=environment.installs,
            generation=environment.generation,
        )
        self.parts = {"origin": OriginPart(environment_id=source, snapshot=snapshot)}
        self.audited = {"cloned_from": str(source), "snapshot": str(snapshot)}

    def save(self) -> None:
        self._origin.save(force_insert=True)


class Storage(Feature):
    tabs = (
        Tab("snapshots", gettext_lazy("Snapshots"), 30),
        Tab("files", gettext_lazy("Files"), 35, Permission.ENVIRONMENT_EXEC),
    )

    def brings_root(self, asked: Mapping[str, Any]) -> bool:
        return asked.get("snapshot") is not None

    def reserve(self, environment: Environment, asked: Mapping[str, Any]) -> Reserved:
        source: Snapshot | None = asked.get("snapshot")
        if source is None:
            return Reserved()
        return FromSnapshot(environment, source.environment_id, source.pk)

    def parts(self, environment: Environment) -> Parts:
        found: dict[str, Any] = {}
        wanted = tuple(one.pk for one in _WANTED.all(environment=environment.pk))
        if wanted:
            found["snapshots"] = wanted
        origin = Origin.objects.filter(environment=environment.pk).first()
        if origin is not None and origin.installs == environment.installs:
            backup = source_of(origin.backup, environment.node) if origin.backup else None
            part = OriginPart(environment_id=origin.source, snapshot=origin.snapshot, backup=backup)
            found["origin"] = part
        return found

    def points(self, environment: Environment, most: int, since: datetime | None = None) -> Points:
        rows = Snapshot.objects.filter(environment=environment)
        page = reverse("environment-snapshots", args=(environment.pk,))
        return newest_points("snapshot", rows, most, since, page=page, goes_at="expires_at")

    def counted(self, environment: Environment) -> Mapping[str, int]:
        return {"snapshots": Snapshot.objects.wanted().filter(environment=environment).count()}

    def reported(self, environment: Environment, report: Report) -> None:
        if not report.final:
            return
        self._origin_reported(environment, report)
        for one in _OPEN.all(environment=environment.pk):
            asked = one.generation if one.removal is None else one.removal
            if report.generation >= asked:
                _brought_about(one)
            elif one.removal is None and gave_up(report, asked):
                _drop(one)

    def _origin_reported(self, environment: Environment, report: Report) -> None:
        """A restore that the node refused is taken back, so that the next change doesn't ask for it again."""
        origin = Origin.objects.filter(environment=environment.pk).first()
        if origin is None or origin.before is None:
            return
        if report.generation >= origin.generation:
            Origin.objects.filter(pk=origin.pk).update(before=None)
        elif gave_up(report, origin.generation):
            before = dict(origin.before)
            environment.installs = before["installs"]
            environment.image = before.pop("image", environment.image)
            was = {"installs": environment.installs, "image": environment.image}
            Environment.objects.filter(pk=environment.pk).update(**was)
            if before.get("snapshot"):
                Origin.objects.filter(pk=origin.pk).update(**before, before=None)
            else:
                Origin.objects.filter(pk=origin.pk).delete()

    def asked_again(
        self, actor: Actor, environment: Environment, kind: str, details: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        if kind == OperationKind.SNAPSHOT and "snapshot" in details:
            return services.add_again(actor, environment, details)
        if kind == OperationKind.RESTORE and "restore" in details:
            return services.restore_again(actor, environment, details)
        return {}

    def replaced(self, actor: Actor, environment: Environment) -> Mapping[str, Any]:
        return services.keep_undo(actor, environment, Reason.REINSTALL)

    def shrunk(self, actor: Actor | None, environment: Environment) -> Mapping[str, Any]:
        return services.keep_undo(actor, environment, Reason.SHRINK)

    def adopted(self, environment: Environment, spec: EnvironmentSpec) -> None:
        adopting.adopt(environment, spec)

    def gone(self, environment: Environment) -> Mapping[Resource, int]:
        rows = Snapshot.objects.filter(environment=environment)
        count = rows.count()
        rows.delete()
        Origin.objects.filter(environment=environment).delete()
        Schedule.objects.filter(environment=environment).delete()
        return {Resource.SNAPSHOTS: count} if count else {}

    def swept(self) -> None:
        schedules.run_due()
        services.expire()

    def held(self) -> Iterator[tuple[UUID, Resource, int]]:
        for tenant_id, count in Snapshot.objects.values_list("tenant_id").annotate(n=Count("pk")).order_by():
            yield tenant_id, Resource.SNAPSHOTS, count

    def examine(self, living: Sequence[Environment]) -> Iterator[str]:
        ids = {row.pk for row in living}
        for one in Snapshot.objects.all():
            if one.environment_id not in ids:
                yield f"snapshot {one.pk} is of an environment that is gone"


def _brought_about(one: Snapshot) -> None:
    if one.removal is not None:
        _drop(one)
    else:
        Snapshot.objects.filter(pk=one.pk).update(made_at=timezone.now())


def _drop(one: Snapshot) -> None:
    """It isn't there: what it took of the quota goes back."""
    if Snapshot.objects.filter(pk=one.pk).delete()[0]:
        quotas.release(one.tenant, {Resource.SNAPSHOTS: 1})

"""Snapshots made as a node has them: one that has no row would be deleted there by the next change."""

from django.utils import timezone
from django.utils.translation import gettext as _

from panel.environments.models import Environment
from panel.storage.models import Origin, Snapshot
from runtime.contract import EnvironmentSpec


def adopt(environment: Environment, spec: EnvironmentSpec) -> None:
    """Those that the node has no more go; nobody knows when and why the others were made."""
    rows = Snapshot.objects.filter(environment=environment)
    rows.exclude(pk__in=spec.snapshots).delete()
    rows.update(removal=None)
    known = set(rows.values_list("pk", flat=True))
    now = timezone.now()
    Snapshot.objects.bulk_create(
        Snapshot(
            id=one,
            environment=environment,
            tenant=environment.tenant,
            name=_("found on the node"),
            image=environment.image,
            generation=spec.generation,
            made_at=now,
        )
        for one in spec.snapshots
        if one not in known
    )
    _take_over_origin(environment, spec)


def _take_over_origin(environment: Environment, spec: EnvironmentSpec) -> None:
    """Of a root that came from a backup none is kept: it was brought, and the row of that may be missing."""
    if spec.origin is None or spec.origin.backup is not None:
        Origin.objects.filter(environment=environment).delete()
        return
    Origin.objects.update_or_create(
        environment=environment,
        defaults={
            "source": spec.origin.environment_id,
            "snapshot": spec.origin.snapshot,
            "backup": None,
            "installs": spec.installs,
            "generation": spec.generation,
            "before": None,
        },
    )

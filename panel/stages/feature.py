"""What a stage is to its environments: a report may be what a rollout waits for."""

from django.db.models import UUIDField

from panel.environments.features import Feature
from panel.environments.models import Environment
from panel.prepared import Given, Prepared
from panel.stages.models import Rollout, RolloutState
from panel.stages.tasks import go_on_soon
from runtime.contract import Report

_ROLLING = Prepared(
    lambda: Rollout.objects.filter(
        stage__copies__environment=Given("environment", UUIDField()),
        state__in=(RolloutState.ROLLING, RolloutState.BACK),
    )[:1]
)


class InStages(Feature):
    def reported(self, environment: Environment, report: Report) -> None:
        row = _ROLLING.first(environment=environment.pk) if environment.kind == "app" else None
        if row is not None:
            go_on_soon(row.pk)

"""What metering has of each environment: this month's traffic, and the graphs."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from panel.environments.features import Feature
from panel.environments.models import Environment
from panel.metering.history import history, in_lines
from panel.metering.selectors import traffic_of
from panel.metering.services import wanted_state

#: Hours that the graphs may show, and how they are called.
_SPANS = {"1": _("1 h"), "6": _("6 h"), "24": _("24 h")}


class Metering(Feature):
    def plan_given(self, environment: Environment) -> None:
        environment.traffic_state = wanted_state(environment)

    def shown_alone(self, environment: Environment) -> Mapping[str, Any]:
        return {"traffic": traffic_of(environment)}

    def overview(self, environment: Environment, query: Mapping[str, str]) -> Mapping[str, Any]:
        hours = query.get("hours", "1")
        hours = hours if hours in _SPANS else "1"
        points = history(environment, int(hours))
        return {"hours": hours, "spans": _SPANS, "history": points, "history_lines": in_lines(points)}

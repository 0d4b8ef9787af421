"""The tab of what runs inside, and of what was changed since it was made; the ways in on the overview."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy

from panel.environments.features import Feature, Tab
from panel.environments.models import Environment
from panel.inside.services import has_ways_in
from panel.rights.permissions import Permission


class Inside(Feature):
    tabs = (Tab("processes", gettext_lazy("Processes"), 37, Permission.ENVIRONMENT_EXEC),)

    def overview(self, environment: Environment, query: Mapping[str, str]) -> Mapping[str, Any]:
        return {"has_ways_in": has_ways_in(environment)}

"""The tab of consoles."""

from django.utils.translation import gettext_lazy

from panel.environments.features import Feature, Tab
from panel.rights.permissions import Permission


class Consoles(Feature):
    tabs = (
        Tab("console", gettext_lazy("Console"), 10, Permission.ENVIRONMENT_CONSOLE),
        Tab("log", gettext_lazy("Log"), 11, Permission.ENVIRONMENT_CONSOLE, needs_boot=True),
    )

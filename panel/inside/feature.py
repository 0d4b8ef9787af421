"""The tab of what runs inside, and of what was changed since it was made."""

from django.utils.translation import gettext_lazy

from panel.environments.features import Feature, Tab
from panel.rights.permissions import Permission


class Inside(Feature):
    tabs = (Tab("processes", gettext_lazy("Processes"), 37, Permission.ENVIRONMENT_EXEC),)

"""The tab of shares."""

from django.utils.translation import gettext_lazy

from panel.environments.features import Feature, Tab
from panel.rights.permissions import Permission


class Sharing(Feature):
    tabs = (Tab("shares", gettext_lazy("Sharing"), 60, Permission.ENVIRONMENT_SHARE),)

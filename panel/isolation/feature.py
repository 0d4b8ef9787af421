"""The tab among an environment's own."""

from django.utils.translation import gettext_lazy

from panel.environments.features import Feature, Tab


class Isolation(Feature):
    tabs = (Tab("isolation", gettext_lazy("Isolation"), 45, needs_boot=True),)

"""What goes with tenants: names in the registry of those that are gone."""

from panel.environments.features import Feature
from panel.repositories.services import forget_strangers


class Repositories(Feature):
    def swept(self) -> None:
        forget_strangers()

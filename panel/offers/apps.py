from django.apps import AppConfig


class OffersConfig(AppConfig):
    name = "panel.offers"
    label = "offers"

    def ready(self) -> None:
        from panel.offers.rolling import roll_on_commit  # noqa: PLC0415 (models are there only now)
        from panel.plans.versions import follows_versions  # noqa: PLC0415

        follows_versions(roll_on_commit)

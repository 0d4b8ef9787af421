from django.apps import AppConfig


class QuotasConfig(AppConfig):
    name = "panel.quotas"
    label = "quotas"

    def ready(self) -> None:
        from panel.clock.stamps import happened  # noqa: PLC0415 (models are there only now)
        from panel.quotas.models import Quota  # noqa: PLC0415

        happened(Quota, "soft_since")

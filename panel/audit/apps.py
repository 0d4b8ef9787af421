from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "panel.audit"
    label = "audit"

    def ready(self) -> None:
        from panel.audit.services import record_denied  # noqa: PLC0415 (models are there only now)
        from panel.rights.asking import records_refusals  # noqa: PLC0415

        records_refusals(record_denied)

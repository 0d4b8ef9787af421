from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "panel.jobs"
    label = "jobs"

    def ready(self) -> None:
        from panel.clock.stamps import happened  # noqa: PLC0415 (models are there only now)
        from panel.jobs.models import Job  # noqa: PLC0415

        happened(Job, "sent_at", "heard_at")

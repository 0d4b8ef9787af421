from django.apps import AppConfig


class EnvironmentsConfig(AppConfig):
    name = "panel.environments"
    label = "environments"

    def ready(self) -> None:
        from panel import codes  # noqa: PLC0415 (models are there only now)
        from panel.clock.stamps import Wait, happened, waits  # noqa: PLC0415
        from panel.environments.boots import hear_anew  # noqa: PLC0415
        from panel.environments.models import Environment, EnvironmentUsage  # noqa: PLC0415
        from panel.environments.options import labels  # noqa: PLC0415
        from panel.environments.services.operations import OF_ENVIRONMENTS, EnvironmentControl  # noqa: PLC0415
        from panel.nodes.listeners import hears_of_boots  # noqa: PLC0415
        from panel.operations.control import controls  # noqa: PLC0415
        from panel.operations.models import SubjectType  # noqa: PLC0415

        codes.name_fields(labels())
        happened(Environment, "sent_at", "heard_at", "deleted_at", "plan_tried_at", "trashed_at")
        waits(Wait(Environment.objects.trashed, ("trash_ends_at",)))
        happened(EnvironmentUsage, "at")
        hears_of_boots(hear_anew)
        controls(EnvironmentControl(), SubjectType.ENVIRONMENT, OF_ENVIRONMENTS)

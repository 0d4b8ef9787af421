from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "panel.tenancy"
    label = "tenancy"

    def ready(self) -> None:
        from panel.jobs.services import done_by_job  # noqa: PLC0415 (models are there only now)
        from panel.operations.models import OperationKind, SubjectType  # noqa: PLC0415
        from panel.tenancy.holding import TenantJobs  # noqa: PLC0415

        kinds = (OperationKind.QUOTA, OperationKind.SUSPEND, OperationKind.RESUME)
        done_by_job(TenantJobs(), SubjectType.TENANT, *kinds)

from django.apps import AppConfig


class BuildsConfig(AppConfig):
    name = "panel.builds"
    label = "builds"

    def ready(self) -> None:
        from panel.builds.feature import BuildsOfTenant  # noqa: PLC0415 (models are there only now)
        from panel.builds.jobs import BuildJobs  # noqa: PLC0415
        from panel.builds.selectors import wanted_archives  # noqa: PLC0415
        from panel.environments.features import plugs_in  # noqa: PLC0415
        from panel.images import archives  # noqa: PLC0415
        from panel.jobs.services import done_by_job  # noqa: PLC0415
        from panel.operations.models import OperationKind, SubjectType  # noqa: PLC0415

        plugs_in(BuildsOfTenant())
        archives.belong(wanted_archives)
        done_by_job(BuildJobs(), SubjectType.BUILD, OperationKind.BUILD, OperationKind.DELETE)

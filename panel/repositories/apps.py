from django.apps import AppConfig


class RepositoriesConfig(AppConfig):
    name = "panel.repositories"
    label = "repositories"

    def ready(self) -> None:
        from panel.environments.features import plugs_in  # noqa: PLC0415 (models are there only now)
        from panel.jobs.services import done_by_job  # noqa: PLC0415
        from panel.operations.models import OperationKind, SubjectType  # noqa: PLC0415
        from panel.repositories.commit import CommitJobs  # noqa: PLC0415
        from panel.repositories.feature import Repositories  # noqa: PLC0415

        plugs_in(Repositories())
        done_by_job(CommitJobs(), SubjectType.ENVIRONMENT, OperationKind.COMMIT)

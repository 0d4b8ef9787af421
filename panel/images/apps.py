from django.apps import AppConfig


class ImagesConfig(AppConfig):
    name = "panel.images"
    label = "images"

    def ready(self) -> None:
        from panel.images import archives  # noqa: PLC0415 (models are there only now)
        from panel.images.jobs import ImageJobs  # noqa: PLC0415
        from panel.images.selectors import ready_names  # noqa: PLC0415
        from panel.images.services import take_in, wanted_archives  # noqa: PLC0415
        from panel.jobs.services import done_by_job  # noqa: PLC0415
        from panel.nodes.listeners import hears_reports  # noqa: PLC0415
        from panel.operations.models import OperationKind, SubjectType  # noqa: PLC0415
        from panel.plans.offered import knows_what_there_is  # noqa: PLC0415

        knows_what_there_is(lambda: {"images": ready_names()})
        done_by_job(ImageJobs(), SubjectType.IMAGE, OperationKind.BUILD, OperationKind.DELETE)
        hears_reports(take_in)
        archives.belong(wanted_archives)

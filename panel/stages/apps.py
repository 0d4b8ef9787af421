from django.apps import AppConfig


class StagesConfig(AppConfig):
    name = "panel.stages"
    label = "stages"

    def ready(self) -> None:
        from panel.clock.stamps import happened  # noqa: PLC0415 (models are there only now)
        from panel.environments.features import plugs_in  # noqa: PLC0415
        from panel.operations.control import controls  # noqa: PLC0415
        from panel.operations.models import OperationKind, SubjectType  # noqa: PLC0415
        from panel.stages.control import StageControl  # noqa: PLC0415
        from panel.stages.feature import InStages  # noqa: PLC0415
        from panel.stages.models import Rollout  # noqa: PLC0415

        plugs_in(InStages())
        happened(Rollout, "phase_at")
        kinds = (OperationKind.PROMOTE, OperationKind.DEPLOY, OperationKind.ROLL_BACK)
        controls(StageControl(), SubjectType.STAGE, kinds)

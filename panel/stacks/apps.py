from django.apps import AppConfig


class StacksConfig(AppConfig):
    name = "panel.stacks"
    label = "stacks"

    def ready(self) -> None:
        from panel.environments.features import plugs_in  # noqa: PLC0415 (models are there only now)
        from panel.operations.control import controls  # noqa: PLC0415
        from panel.operations.models import OperationKind, SubjectType  # noqa: PLC0415
        from panel.stacks.control import StackControl  # noqa: PLC0415
        from panel.stacks.feature import InStacks  # noqa: PLC0415

        plugs_in(InStacks())
        kinds = (OperationKind.DEPLOY, OperationKind.START, OperationKind.STOP, OperationKind.DELETE)
        controls(StackControl(), SubjectType.STACK, kinds)

from django.apps import AppConfig


class JailsConfig(AppConfig):
    name = "panel.jails"
    label = "jails"

    def ready(self) -> None:
        from panel.clock.stamps import happened  # noqa: PLC0415 (models are there only now)
        from panel.environments.features import plugs_in  # noqa: PLC0415
        from panel.jails.base_control import BaseControl  # noqa: PLC0415
        from panel.jails.feature import Jails  # noqa: PLC0415
        from panel.jails.models import BaseUpdate  # noqa: PLC0415
        from panel.operations.control import controls  # noqa: PLC0415
        from panel.operations.models import OperationKind, SubjectType  # noqa: PLC0415

        plugs_in(Jails())
        happened(BaseUpdate, "since")
        controls(BaseControl(), SubjectType.TENANT, [OperationKind.UPDATE_BASE])

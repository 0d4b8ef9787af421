from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "panel.access"
    label = "access"

    def ready(self) -> None:
        from panel.access.door import Entrance, shares_of  # noqa: PLC0415 (models are there only now)
        from panel.rights.actor import gives_on_environments  # noqa: PLC0415
        from panel.rights.asking import opens  # noqa: PLC0415

        gives_on_environments(shares_of)
        opens(Entrance())

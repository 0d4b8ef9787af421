from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "panel.tenants"
    label = "tenants"

    def ready(self) -> None:
        from panel.clock.stamps import Wait, waits  # noqa: PLC0415 (models are there only now)
        from panel.rights.actor import gives_in_tenants  # noqa: PLC0415
        from panel.tenants.grants import memberships_of  # noqa: PLC0415
        from panel.tenants.models import Tenant  # noqa: PLC0415

        gives_in_tenants(memberships_of)
        waits(Wait(lambda: Tenant.objects.filter(delete_at__isnull=False), ("delete_at",)))

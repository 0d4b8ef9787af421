"""What builds are to a tenant that goes: their layers and logs lie on nodes."""

from panel.builds import services
from panel.environments.features import Feature
from panel.tenants.models import Tenant


class BuildsOfTenant(Feature):
    def emptied(self, tenant: Tenant) -> bool:
        return services.remove_all(tenant)

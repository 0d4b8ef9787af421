"""One row per tenant and resource: its limit and what is reserved against it."""

from django.db import models


class Resource(models.TextChoices):
    """Counted in whole numbers of the unit in the name; `cpu` in thousandths of a vCPU."""

    ENVIRONMENTS = "environments", "environments"
    CPU = "cpu", "vCPU"
    MEMORY_MB = "memory_mb", "memory (MB)"
    DISK_MB = "disk_mb", "disk (MB)"
    ADDRESSES = "addresses", "addresses"
    FORWARDS = "forwards", "port forwards"
    SNAPSHOTS = "snapshots", "snapshots"


#: How many of the stored units one unit of the API is.
SCALE = {Resource.CPU: 1000}


class Quota(models.Model):
    """Changed only by the conditional UPDATE of `quotas.services.reserve` and by `release`."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="quotas")
    resource = models.CharField(max_length=16, choices=Resource.choices)
    limit = models.BigIntegerField(null=True, blank=True)
    """None: not limited here; tenants above may still limit it."""
    reserved = models.BigIntegerField(default=0)
    highest = models.BigIntegerField(default=0)
    hits = models.BigIntegerField(default=0)
    """How often something was refused because of this row."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "resource"], name="quota_once"),
            models.CheckConstraint(condition=models.Q(reserved__gte=0), name="quota_reserved_positive"),
            models.CheckConstraint(
                condition=models.Q(limit__isnull=True) | models.Q(limit__gte=0), name="quota_limit_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(resource__in=Resource.values), name="quota_resource_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource} of {self.tenant_id}"

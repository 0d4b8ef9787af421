"""One row per tenant and resource: its limit and what is reserved against it."""

from datetime import timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _


class Resource(models.TextChoices):
    """Counted in whole numbers of the unit in the name; `cpu` in thousandths of a vCPU."""

    ENVIRONMENTS = "environments", _("environments")
    CPU = "cpu", "vCPU"
    MEMORY_MB = "memory_mb", _("memory (MiB)")
    SWAP_MB = "swap_mb", _("swap (MiB)")
    DISK_MB = "disk_mb", _("disk (MiB)")
    PROCESSES = "processes", _("processes")
    ADDRESSES = "addresses", _("addresses")
    FORWARDS = "forwards", _("port forwards")
    SNAPSHOTS = "snapshots", _("snapshots")
    BACKUPS = "backups", _("backups")


#: How many of the stored units one unit of the API is.
SCALE = {Resource.CPU: 1000}
#: What nodes measure, in the order of `peaks`; of all else what is reserved is used.
MEASURED = (Resource.CPU, Resource.MEMORY_MB, Resource.SWAP_MB, Resource.DISK_MB, Resource.PROCESSES)
DEFAULT_GRACE_S = int(timedelta(days=7).total_seconds())


class Quota(models.Model):
    """Changed only by `quotas.services`, with the row locked.

    `reserved` is what the tenant's own environments have, and what its child tenants take from it: a
    child's limit where it has one, else what the child has reserved itself.
    """

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="quotas")
    resource = models.CharField(max_length=16, choices=Resource.choices)
    limit = models.BigIntegerField(null=True, blank=True)
    """None: not limited here; tenants above may still limit it."""
    soft = models.BigIntegerField(null=True, blank=True)
    """May be passed for `grace_s`; after that nothing more is handed out until it is below again."""
    grace_s = models.PositiveIntegerField(default=DEFAULT_GRACE_S)
    soft_since = models.DateTimeField(null=True, blank=True)
    """Since when `reserved` is above `soft`; None while it isn't."""
    overbook_percent = models.PositiveIntegerField(default=100)
    """How much of `limit` may be handed out to environments; the kernel holds what they use to `limit`."""
    reserved = models.BigIntegerField(default=0)
    highest = models.BigIntegerField(default=0)
    """The most that was ever reserved."""
    highest_used = models.BigIntegerField(default=0)
    """The most that was ever seen in use."""
    hits = models.BigIntegerField(default=0)
    """How often something was refused because of this row."""
    alerted = models.PositiveSmallIntegerField(default=0)
    """The highest of 80, 95 and 100 percent that people were told of since it was below."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "resource"], name="quota_once"),
            models.CheckConstraint(condition=models.Q(reserved__gte=0), name="quota_reserved_positive"),
            models.CheckConstraint(
                condition=models.Q(limit__isnull=True) | models.Q(limit__gte=0), name="quota_limit_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(soft__isnull=True) | models.Q(soft__gte=0), name="quota_soft_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(overbook_percent__range=(100, 1000)), name="quota_overbook_bounded"
            ),
            models.CheckConstraint(
                condition=models.Q(resource__in=Resource.values), name="quota_resource_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.resource} of {self.tenant_id}"

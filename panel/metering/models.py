"""Traffic by environment and month; use by minute."""

from django.db import models


class TrafficMonth(models.Model):
    """Only `metering.services.count` adds to it."""

    environment = models.ForeignKey(
        "environments.Environment", on_delete=models.CASCADE, related_name="traffic"
    )
    month = models.DateField()
    """Its first day, in the tenant's time zone."""
    in_bytes = models.BigIntegerField(default=0)
    """Towards the environment."""
    out_bytes = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["-month"]
        constraints = [models.UniqueConstraint(fields=["environment", "month"], name="traffic_month_once")]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} of {self.environment_id}"

    @property
    def total_bytes(self) -> int:
        return self.in_bytes + self.out_bytes


class UsagePoint(models.Model):
    """What an environment had used by then; one a minute, for a day. Only `metering.history` writes it."""

    environment = models.ForeignKey(
        "environments.Environment", on_delete=models.CASCADE, related_name="usage_points"
    )
    at = models.DateTimeField()
    cpu_ns = models.BigIntegerField()
    memory_bytes = models.BigIntegerField()
    disk_bytes = models.BigIntegerField()
    network_in_bytes = models.BigIntegerField()
    network_out_bytes = models.BigIntegerField()

    class Meta:
        ordering = ["at"]
        constraints = [models.UniqueConstraint(fields=["environment", "at"], name="usage_point_once")]
        indexes = [models.Index(fields=["at"], name="usage_point_at")]

    def __str__(self) -> str:
        return f"{self.at:%H:%M} of {self.environment_id}"

"""Traffic by environment and month."""

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

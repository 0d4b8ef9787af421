"""The numbers of jails."""

from django.db import models

from panel.environments.models import Environment


class JailNumber(models.Model):
    """The jid of a jail: counted in its tenant, kept as long as the jail is there, and given to no other at the
    same time."""

    environment = models.OneToOneField(
        Environment, on_delete=models.CASCADE, primary_key=True, related_name="jail_number"
    )
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    number = models.PositiveIntegerField()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["tenant", "number"], name="jail_number_once")]

    def __str__(self) -> str:
        return str(self.number)

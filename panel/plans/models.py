"""A plan is a name for limits. Its versions never change, so that who bought one keeps it."""

import uuid

from django.core.validators import RegexValidator
from django.db import models

from runtime.contract.base import NAME_PATTERN


class Plan(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.CharField(max_length=63, unique=True, validators=[RegexValidator(NAME_PATTERN)])
    name = models.CharField(max_length=120)
    description = models.CharField(max_length=400, blank=True, default="")
    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.CASCADE, related_name="plans", null=True, blank=True
    )
    """None: for everybody; else only for this tenant and those below it."""
    position = models.IntegerField(default=0)
    retired_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name


class PlanVersion(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    limits = models.JSONField()
    """As `runtime.contract.Limits`."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["plan", "number"], name="plan_version_once")]

    def __str__(self) -> str:
        return f"{self.plan} v{self.number}"

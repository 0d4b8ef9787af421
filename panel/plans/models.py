"""A plan is a name for limits. Its versions never change, so that who bought one keeps it."""

import uuid
from typing import TYPE_CHECKING

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from panel.plans.terms import Allowances, Choices
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant

if TYPE_CHECKING:
    from panel.rights.actor import Actor

from runtime.contract import Limits
from runtime.contract.base import NAME_PATTERN


class Plans(models.QuerySet["Plan"]):
    def for_actor(self, actor: "Actor") -> "Plans":
        """Those for everybody, and those of tenants that the actor sees (or that lie above them)."""
        condition = actor.scope(Permission.TENANT_VIEW).on_tenants()
        if condition is None:
            return self.all()
        chains = [row.chain for row in Tenant.objects.filter(condition)]
        return self.filter(Q(tenant=None) | Q(tenant_id__in={part for chain in chains for part in chain}))


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
    revision = models.PositiveIntegerField(default=1, db_default=1)
    """Counts up with every change, of its name as well as of its terms: for `If-Match`."""
    retired_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = Plans.as_manager()

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
    allowances = models.JSONField(default=dict, blank=True)
    """As `plans.terms.Allowances`."""
    choices = models.JSONField(default=dict, blank=True)
    """As `plans.terms.Choices`."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["plan", "number"], name="plan_version_once")]

    def __str__(self) -> str:
        return f"{self.plan} v{self.number}"

    @property
    def parsed_limits(self) -> Limits:
        return Limits.model_validate(self.limits)

    @property
    def parsed_allowances(self) -> Allowances:
        return Allowances.model_validate(self.allowances)

    @property
    def parsed_choices(self) -> Choices:
        return Choices.model_validate(self.choices)

"""Tenants form a tree; every row of the panel that somebody owns belongs to one."""

import uuid

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from panel.rights.permissions import Permission, RoleName
from panel.rights.place import Place
from panel.rights.scope import Scoped
from panel.states import Tone
from runtime.contract.base import NAME_PATTERN

#: Of `trash_days`.
MOST_TRASH_DAYS = 365


class TenantState(models.TextChoices):
    ACTIVE = "active", _("active")
    SUSPENDED = "suspended", _("suspended")

    @property
    def tone(self) -> Tone:
        return _TONES[self]


_TONES = {
    TenantState.ACTIVE: Tone.OK,
    TenantState.SUSPENDED: Tone.WARN,
}


class SuspendedHow(models.TextChoices):
    """What becomes of the environments of a suspended tenant that should run."""

    STOP = "stop", _("stopped")
    FREEZE = "freeze", _("frozen")


class Tenants(Scoped["Tenant"]):
    tenant_relation = ""
    view_permission = Permission.TENANT_VIEW


class Roles(Scoped["Role"]):
    view_permission = Permission.MEMBER_VIEW


class Memberships(Scoped["Membership"]):
    view_permission = Permission.MEMBER_VIEW


class Tenant(models.Model):
    """Holds environments within its quota, and within those of all tenants above it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    slug = models.CharField(max_length=63, unique=True, validators=[RegexValidator(NAME_PATTERN)])
    parent = models.ForeignKey("self", on_delete=models.PROTECT, related_name="children", null=True, blank=True)
    path = models.TextField(editable=False)
    """Hex ids from the root down to this one, each followed by `/`: all below share it as a prefix.

    Unique since it ends with the own id. The index over it (PostgreSQL's SP-GiST, in the migration)
    takes values of any length, so that tenants may be 128 deep.
    """
    state = models.CharField(max_length=16, choices=TenantState.choices, default=TenantState.ACTIVE)
    suspended_reason = models.CharField(max_length=400, blank=True, default="")
    suspended_how = models.CharField(max_length=8, choices=SuspendedHow.choices, default=SuspendedHow.STOP)
    delete_at = models.DateTimeField(null=True, blank=True)
    """When it is deleted with all that it owns, unless that is cancelled before."""
    must_use_plans = models.BooleanField(default=False)
    """Its environments have the size of a plan, never one of their own."""
    trash_days = models.PositiveSmallIntegerField(default=0, db_default=0)
    """How long its environments can be brought back after they were deleted; 0: they are gone at once."""
    time_zone = models.CharField(max_length=64, default="UTC")
    version = models.PositiveIntegerField(default=1, db_default=1)
    """Counts up with every change of the tenant or its quota: for `If-Match`."""
    held_revision = models.PositiveBigIntegerField(default=1)
    """Counts up with every change of what nodes hold it to: `runtime.contract.TenantEnvelope`."""
    requires_mfa = models.BooleanField(default=False)
    """Its members, and those of tenants below it, need a second factor."""
    created_at = models.DateTimeField(auto_now_add=True)

    objects = Tenants.as_manager()

    class Meta:
        ordering = ["name"]
        indexes = [
            models.Index(fields=["name", "id"], name="tenant_by_name"),
            models.Index(
                fields=["delete_at"], condition=models.Q(delete_at__isnull=False), name="tenant_to_delete"
            ),
            models.Index(fields=["id"], condition=models.Q(requires_mfa=True), name="tenant_requires_mfa"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=TenantState.values), name="tenant_state_known"),
            models.CheckConstraint(
                condition=models.Q(trash_days__range=(0, MOST_TRASH_DAYS)), name="tenant_trash_bounded"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def shown_state(self) -> TenantState:
        """With its word and tone."""
        return TenantState(self.state)

    @property
    def is_due(self) -> bool:
        """Its waiting time is over: it is being deleted, and that can't be taken back."""
        return self.delete_at is not None and self.delete_at <= timezone.now()

    @property
    def place(self) -> Place:
        return Place(self.path, self.pk)

    @property
    def payer(self) -> uuid.UUID:
        """On whose account goes what is dear: the top of those that hang together."""
        return self.chain[0]

    @property
    def chain(self) -> list[uuid.UUID]:
        """Its own id and those of all tenants above it, from the root down."""
        return [uuid.UUID(part) for part in self.path.split("/") if part]


class Role(models.Model):
    """A role that a tenant made for itself: a named set of permissions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="roles")
    name = models.CharField(max_length=60)
    permissions = models.JSONField(default=list)
    version = models.PositiveIntegerField(default=1)
    """Counts up with every change, so that nobody overwrites what he hasn't read."""

    objects = Roles.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="role_name_once")]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One person in one tenant; it counts for all tenants below as well."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=RoleName.choices, default=RoleName.VIEWER)
    custom_role = models.ForeignKey(Role, on_delete=models.PROTECT, null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = Memberships.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "user"], name="membership_once"),
            models.CheckConstraint(
                condition=models.Q(role="custom", custom_role__isnull=False)
                | (models.Q(role__in=RoleName.values) & ~models.Q(role="custom")),
                name="membership_role_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} as {self.role} of {self.tenant}"

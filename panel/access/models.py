"""Invitations, shares of single environments, and support accesses (`panel.rights.who`). Each of them ends."""

import uuid
from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from panel.rights.permissions import Permission, RoleName
from panel.rights.scope import Scoped
from panel.rights.who import SupportAccess

__all__ = ["Invitation", "Share", "SupportAccess"]


class Invitations(Scoped["Invitation"]):
    view_permission = Permission.MEMBER_MANAGE

    def open(self) -> "Invitations":
        """Those that can still be accepted."""
        return self.filter(accepted_at=None, revoked_at=None, expires_at__gt=timezone.now())


class Invitation(models.Model):
    """An offer by e-mail: a role in the tenant, or a share of one of its environments.

    Of the link's secret only the SHA-256 is kept; it has 256 random bits.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=16, blank=True, default="")
    custom_role = models.ForeignKey("tenants.Role", on_delete=models.CASCADE, null=True, blank=True)
    environment = models.ForeignKey(
        "environments.Environment", on_delete=models.CASCADE, null=True, blank=True, related_name="invitations"
    )
    permissions = models.JSONField(default=list, blank=True)
    """Of a share."""
    share_ends_at = models.DateTimeField(null=True, blank=True)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True)

    replaces: "Invitation | None" = None
    """The open one to the same address that was revoked as this one was made; not kept in the database."""

    objects = Invitations.as_manager()

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(environment__isnull=True, role__in=RoleName.values)
                | Q(environment__isnull=False, role="", share_ends_at__isnull=False),
                name="invitation_role_or_share",
            ),
            models.CheckConstraint(
                condition=Q(role="custom") ^ Q(custom_role__isnull=True), name="invitation_custom_role_named"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def is_open(self, at: datetime | None = None) -> bool:
        is_used = self.accepted_at is not None or self.revoked_at is not None
        return not is_used and self.expires_at > (at or timezone.now())


class Shares(Scoped["Share"]):
    environment_relation = "environment"
    view_permission = Permission.ENVIRONMENT_SHARE


class Share(models.Model):
    """A person may do `permissions` with one environment, and sees nothing else of its tenant."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="shares")
    environment = models.ForeignKey("environments.Environment", on_delete=models.CASCADE, related_name="shares")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="shares")
    permissions = models.JSONField(default=list)
    shared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    objects = Shares.as_manager()

    class Meta:
        ordering = ["expires_at"]
        constraints = [models.UniqueConstraint(fields=["environment", "user"], name="share_once")]

    def __str__(self) -> str:
        return f"{self.environment} for {self.user}"

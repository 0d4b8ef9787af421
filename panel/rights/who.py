"""Who asks: a person, the token that acts in his name, the support access that he is in.

Their rows stand with rights, which are made of them, and below the apps that keep them (`accounts`, `access`).
"""

import uuid
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone

from panel.rights.permissions import Permission
from panel.rights.scope import Scoped


class User(AbstractUser):
    """`is_superuser`: an administrator of the whole installation, who sees every tenant."""

    # Django's own way to leave an inherited field out, which its types don't know.
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True, default="")
    language = models.CharField(max_length=8, blank=True, default="")
    time_zone = models.CharField(max_length=64, default="UTC")

    class Meta:
        app_label = "accounts"
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_once"),
            models.UniqueConstraint(Lower("username"), name="user_username_once"),
        ]

    def __str__(self) -> str:
        return self.username

    def get_full_name(self) -> str:
        return self.name or self.username

    def get_short_name(self) -> str:
        return self.name or self.username


class Tokens(Scoped["Token"]):
    view_permission = Permission.TOKEN_VIEW


class Token(models.Model):
    """An API token `wdh_<id>_<secret>`. Only the SHA-256 of the secret is kept: it has 256 random bits.

    It may do what `permissions` names, below `tenant` only, and never more than its user may at that moment.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120, blank=True, default="")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    tenant = models.ForeignKey(
        "tenants.Tenant", on_delete=models.CASCADE, related_name="tokens", null=True, blank=True
    )
    """None: everywhere that the user may act (only administrators of the installation make such)."""
    support = models.ForeignKey(
        "access.SupportAccess", on_delete=models.CASCADE, related_name="tokens", null=True, blank=True
    )
    """The support access that it speaks in, and ends with: its user has the tenant's view then, as on pages."""
    opened_by = models.ForeignKey(
        "self", on_delete=models.CASCADE, related_name="opened", null=True, blank=True, editable=False
    )
    """The token that made it. Of a support access: once that one is revoked, this one is as good as revoked."""
    permissions = models.JSONField(default=list)
    environments = models.JSONField(default=list, blank=True)
    """Ids of the environments that it is for; empty: all. They stay named after their environment is gone, so
    that such a token never widens."""
    digest = models.CharField(max_length=64)
    networks = models.JSONField(default=list, blank=True)
    """Address ranges that it may be used from; empty: from anywhere."""
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_from = models.GenericIPAddressField(null=True, blank=True)

    objects = Tokens.as_manager()

    class Meta:
        app_label = "accounts"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name or str(self.id)

    def is_usable(self, at: datetime | None = None) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > (at or timezone.now()))


class SupportAccesses(Scoped["SupportAccess"]):
    view_permission = Permission.MEMBER_VIEW

    def running(self) -> "SupportAccesses":
        return self.filter(ended_at=None, ends_at__gt=timezone.now())


class SupportAccess(models.Model):
    """An administrator of the installation in a tenant's view, for a stated reason and time."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="support_accesses")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    reason = models.CharField(max_length=400)
    started_at = models.DateTimeField(auto_now_add=True)
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=150, blank=True, default="")

    objects = SupportAccesses.as_manager()

    class Meta:
        app_label = "access"
        ordering = ["-started_at"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("started_at")), name="support_lasts"),
            models.CheckConstraint(condition=~Q(reason=""), name="support_has_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.tenant}"

    def is_running(self, at: datetime | None = None) -> bool:
        return self.ended_at is None and self.ends_at > (at or timezone.now())

"""A person who signs in, and the tokens that act in his name."""

import uuid
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.db import models
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


class SignInPolicy(models.Model):
    """What administrators ask of everybody's sign-in; one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    requires_mfa = models.BooleanField(default=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="signin_policy_one")]

    def __str__(self) -> str:
        return "sign-in policy"


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
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.name or str(self.id)

    def is_usable(self, at: datetime | None = None) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > (at or timezone.now()))


class SshKey(models.Model):
    """A public key that a person keeps here, to be chosen where an environment gets its keys."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="ssh_keys")
    name = models.CharField(max_length=60)
    text = models.TextField()
    """One line, as in `authorized_keys`."""
    fingerprint = models.CharField(max_length=64)
    """As `ssh-keygen -l` says it: `SHA256:` and 43 characters."""
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, blank=True, editable=False)
    """When somebody first came in by it at the SSH gateway, which takes its other half."""

    class Meta:
        ordering = ["name", "created_at"]
        constraints = [models.UniqueConstraint(fields=["user", "fingerprint"], name="ssh_key_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def type(self) -> str:
        return self.text.split(None, 1)[0]

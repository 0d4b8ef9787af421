"""Snapshots of environments, and which root was made from one."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from panel.rights.scope import Scoped
from panel.states import Tone


class Reason(models.TextChoices):
    """Why there is a snapshot."""

    ASKED = "asked", _("asked for")
    RESTORE = "restore", _("before a restore")


class SnapshotState(models.TextChoices):
    MAKING = "making", _("being made")
    READY = "ready", _("ready")
    GOING = "going", _("being deleted")

    @property
    def tone(self) -> Tone:
        return Tone.OK if self is SnapshotState.READY else Tone.BUSY


class Snapshots(Scoped["Snapshot"]):
    environment_relation = "environment"

    def wanted(self) -> "Snapshots":
        """Those that the node is to have."""
        return self.filter(removal=None)

    def open(self) -> "Snapshots":
        """Those that wait for the node."""
        return self.filter(Q(made_at=None) | Q(removal__isnull=False))


class Snapshot(models.Model):
    """The whole disk of an environment as it was at one moment; kept on the environment's node."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(
        "environments.Environment", on_delete=models.CASCADE, related_name="snapshots"
    )
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="snapshots")
    name = models.CharField(max_length=63)
    reason = models.CharField(max_length=16, choices=Reason, default=Reason.ASKED)
    image = models.CharField(max_length=64)
    """What the environment's root was made from at that time."""
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    generation = models.PositiveBigIntegerField()
    """Of the environment, with which it was asked for."""
    made_at = models.DateTimeField(null=True, blank=True)
    """When the node said that it is there."""
    removal = models.PositiveBigIntegerField(null=True, blank=True)
    """Of the environment, with which its removal was asked for."""

    objects = Snapshots.as_manager()

    class Meta:
        ordering = ["created_at", "pk"]
        indexes = [
            models.Index(
                fields=["environment"],
                name="snapshot_waits",
                condition=Q(made_at=None) | Q(removal__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> SnapshotState:
        if self.removal is not None:
            return SnapshotState.GOING
        return SnapshotState.READY if self.made_at is not None else SnapshotState.MAKING


class Origin(models.Model):
    """The snapshot that an environment's newest root was made from. None, or one of an older install: it was
    made from its image."""

    environment = models.OneToOneField(
        "environments.Environment", on_delete=models.CASCADE, primary_key=True, related_name="origin"
    )
    source = models.UUIDField()
    """Environment whose snapshot it was."""
    snapshot = models.UUIDField()
    installs = models.PositiveIntegerField()
    """The count of installs that it belongs to."""
    generation = models.PositiveBigIntegerField()
    """Of the environment, with which it was asked for."""
    before = models.JSONField(null=True, blank=True)
    """Source, snapshot and count of installs of the root before, to go back to where the node refuses; null
    once it was brought about."""

    def __str__(self) -> str:
        return str(self.snapshot)

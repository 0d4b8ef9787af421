"""Volumes, where each is attached, and what each was."""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from panel.environments.models import Environment
from panel.rights.scope import Scoped
from panel.states import Tone
from panel.storage.kept import Kept
from panel.storage.models import Reason


class VolumeState(models.TextChoices):
    MAKING = "making", _("being made")
    READY = "ready", _("ready")
    RESIZING = "resizing", _("being resized")
    RESTORING = "restoring", _("being restored")
    GOING = "going", _("being deleted")

    @property
    def tone(self) -> Tone:
        return Tone.OK if self is VolumeState.READY else Tone.BUSY


class VolumeClass(models.TextChoices):
    """As `runtime.contract.VolumeClass`."""

    STANDARD = "standard", _("standard: checked by checksums")
    DATABASE = "database", _("for databases: written in place")


class Volumes(Scoped["Volume"]):
    """Whole tenants' alone: who sees one environment of a tenant sees no volume of it."""


class Volume(models.Model):
    """A disk of a tenant on one node, that outlives the environments it is attached to."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="volumes")
    node = models.ForeignKey("nodes.Node", on_delete=models.PROTECT, related_name="volumes")
    name = models.CharField(max_length=63)
    size_mb = models.PositiveIntegerField()
    """MiB that it is held to, or is to be: what counts against the quota."""
    before_mb = models.PositiveIntegerField(null=True, blank=True)
    """What it was held to, while another size is under way."""
    volume_class = models.CharField(max_length=16, choices=VolumeClass, default=VolumeClass.STANDARD)
    is_shared = models.BooleanField(default=False)
    """May be attached to several at once, writable; else to one, or read-only to several."""
    is_going = models.BooleanField(default=False)
    is_restoring = models.BooleanField(default=False)
    """It is put back to what it was; meanwhile nobody has it attached."""
    used_bytes = models.PositiveBigIntegerField(default=0)
    used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    made_at = models.DateTimeField(null=True, blank=True)

    objects = Volumes.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="volume_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> VolumeState:
        if self.is_going:
            return VolumeState.GOING
        if self.made_at is None:
            return VolumeState.MAKING
        if self.is_restoring:
            return VolumeState.RESTORING
        return VolumeState.READY if self.before_mb is None else VolumeState.RESIZING


class VolumeSnapshots(models.QuerySet["VolumeSnapshot"]):
    def open(self) -> "VolumeSnapshots":
        """Those that wait for the node."""
        return self.filter(models.Q(made_at=None) | models.Q(is_going=True))


class VolumeSnapshot(Kept):
    """A volume as it was at one moment; kept on its node, and gone with it."""

    volume = models.ForeignKey(Volume, on_delete=models.CASCADE, related_name="snapshots")
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=16, choices=Reason, default=Reason.ASKED)
    is_going = models.BooleanField(default=False)
    bytes = models.PositiveBigIntegerField(null=True, blank=True)
    """What it holds on the disk, as its node last counted."""
    own_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    """Of these: in neither the volume as it was then nor in another of its snapshots."""
    measured_at = models.DateTimeField(null=True, blank=True)

    objects = VolumeSnapshots.as_manager()

    class Meta:
        ordering = ["-created_at", "pk"]

    def goes(self) -> bool:
        return self.is_going

    @property
    def shared_bytes(self) -> int | None:
        return None if self.bytes is None or self.own_bytes is None else self.bytes - self.own_bytes


class AttachmentState(models.TextChoices):
    ATTACHING = "attaching", _("being attached")
    ATTACHED = "attached", _("attached")
    DETACHING = "detaching", _("being detached")

    @property
    def tone(self) -> Tone:
        return Tone.OK if self is AttachmentState.ATTACHED else Tone.BUSY


class Attachments(models.QuerySet["Attachment"]):
    def wanted(self) -> "Attachments":
        """What environments are to see."""
        return self.filter(removal=None)

    def open(self) -> "Attachments":
        """What a node has not brought about yet."""
        return self.exclude(made=True, removal=None)


class Attachment(models.Model):
    """A volume as one environment sees it."""

    volume = models.ForeignKey(Volume, on_delete=models.PROTECT, related_name="attachments")
    environment = models.ForeignKey(Environment, on_delete=models.CASCADE, related_name="attachments")
    path = models.CharField(max_length=200)
    read_only = models.BooleanField(default=False)
    generation = models.PositiveBigIntegerField()
    """Of the environment, that asked for it."""
    made = models.BooleanField(default=False)
    """The node has brought it about."""
    removal = models.PositiveBigIntegerField(null=True, blank=True)
    """Generation that asked for its end."""

    objects = Attachments.as_manager()

    class Meta:
        ordering = ["path"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "volume"], name="attachment_once"),
            models.UniqueConstraint(fields=["environment", "path"], name="attachment_path_once"),
        ]

    def __str__(self) -> str:
        return self.path

    @property
    def state(self) -> AttachmentState:
        if self.removal is not None:
            return AttachmentState.DETACHING
        return AttachmentState.ATTACHED if self.made else AttachmentState.ATTACHING

"""An image by name, and its state on each node."""

import uuid

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from panel.operations.models import OperationState
from panel.said import SaidField
from panel.states import Tone
from runtime.contract import ImageSource
from runtime.contract.said import Said

IMAGE_NAME_PATTERN = r"^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$"


class Image(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=64, unique=True, validators=[RegexValidator(IMAGE_NAME_PATTERN)])
    title = models.CharField(max_length=120, blank=True, default="")
    description = models.CharField(max_length=400, blank=True, default="")
    source = models.CharField(max_length=32, choices=[(s.value, s.value) for s in ImageSource])
    archive_id = models.UUIDField(null=True, blank=True)
    """Of an image of the source `archive`: name of the file below HOME/panel/archives."""
    archive_sha256 = models.CharField(max_length=64, blank=True, default="")
    archive_bytes = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.title or self.name


class NodeImageState(models.TextChoices):
    WAITING = "waiting", _("waiting")
    BUILDING = "building", _("building")
    READY = "ready", _("ready")
    FAILED = "failed", _("failed")
    DELETING = "deleting", _("deleting")

    @property
    def tone(self) -> Tone:
        return _TONES[self]


_TONES = {
    NodeImageState.WAITING: Tone.BUSY,
    NodeImageState.BUILDING: Tone.BUSY,
    NodeImageState.READY: Tone.OK,
    NodeImageState.FAILED: Tone.BAD,
    NodeImageState.DELETING: Tone.BUSY,
}


class NodeImage(models.Model):
    """One image on one node: what is wanted, and what was last reported."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="on_nodes")
    node = models.ForeignKey("nodes.Node", on_delete=models.CASCADE, related_name="images")
    is_wanted = models.BooleanField(default=True)
    revision = models.PositiveIntegerField(default=1)
    """Wanted; counts up with each rebuild."""
    operation = models.ForeignKey(
        "operations.Operation", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    """The newest about it on this node; None: the node came with it."""
    observed_revision = models.PositiveIntegerField(default=0)
    """0: the node hasn't got it."""
    bytes = models.BigIntegerField(default=0)
    code = models.CharField(max_length=64, blank=True, default="")
    """Stable cause of why it isn't as it was asked for. What the node said for people follows."""
    message = SaidField(blank=True, default="")
    next_step = SaidField(blank=True, default="")
    observed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["image", "node"], name="node_image_once")]

    def __str__(self) -> str:
        return f"{self.image.name} on {self.node.name}"

    @property
    def state(self) -> NodeImageState:
        """Of its newest operation while that is open, else of what the node has."""
        operation = self.operation
        if operation is not None and operation.is_open:
            if not self.is_wanted:
                return NodeImageState.DELETING
            is_begun = operation.state == OperationState.RUNNING
            return NodeImageState.BUILDING if is_begun else NodeImageState.WAITING
        return NodeImageState.FAILED if self.code or not self.observed_revision else NodeImageState.READY

    @property
    def progress(self) -> float:
        """0 to 1."""
        operation = self.operation
        if operation is not None and operation.is_open:
            return operation.progress
        return 1.0 if self.observed_revision else 0.0

    @property
    def said(self) -> Said | str:
        """What is being done, what it has become, or why not."""
        operation = self.operation
        return operation.doing if operation is not None and operation.is_open else self.message

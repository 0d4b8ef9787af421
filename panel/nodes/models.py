"""A node as it last reported itself, and what the panel has placed on it."""

import uuid
from datetime import datetime, timedelta

from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from runtime.contract.base import NAME_PATTERN

#: A node reports every 10 s; unheard of for longer than this it gets nothing new.
SILENT_AFTER = timedelta(seconds=45)


class NodeState(models.TextChoices):
    ENABLED = "enabled", _("enabled")
    DRAINING = "draining", _("draining")
    DISABLED = "disabled", _("disabled")


class Node(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=63, unique=True)
    state = models.CharField(max_length=16, choices=NodeState.choices, default=NodeState.ENABLED)
    """Set by an administrator; only `enabled` nodes get new environments."""
    facts = models.JSONField(default=dict)
    """As `runtime.contract.NodeFacts`."""
    leaks = models.PositiveIntegerField(default=0)
    found = models.JSONField(default=dict, blank=True)
    """What its newest survey found, as `panel.fleet.leaks.Findings`."""
    environments_seen = models.PositiveIntegerField(default=0)
    first_seen_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(null=True, blank=True)
    reserved_cpu = models.BigIntegerField(default=0)
    """Thousandths of a vCPU over all environments placed here."""
    reserved_memory_mb = models.BigIntegerField(default=0)
    reserved_disk_mb = models.BigIntegerField(default=0)
    cpu_ratio = models.FloatField(null=True, blank=True)
    """How many times its processors may be promised; None: nobody set a bound. The same below."""
    memory_ratio = models.FloatField(null=True, blank=True)
    disk_ratio = models.FloatField(null=True, blank=True)
    public_address = models.CharField(max_length=253, blank=True, default="")
    """Name or address under which people reach the ports of its port forwards; empty: nobody has said."""
    version = models.PositiveIntegerField(default=1, db_default=1)
    """Counts up with every change of what administrators set, not with reports: for `If-Match`."""
    pools_revision = models.PositiveIntegerField(default=0, db_default=0)
    """Counts up with every change of its pools of processors."""
    devices_revision = models.PositiveIntegerField(default=0, db_default=0)
    """Counts up with every change of its devices that may be given."""
    placed = models.PositiveIntegerField(default=0)
    """Environments placed here."""

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=NodeState.values), name="node_state_known"),
            *[
                models.CheckConstraint(
                    condition=models.Q(**{f"{name}__isnull": True})
                    | models.Q(**{f"{name}__range": (0.1, 100)}),
                    name=f"node_{name}_bounded",
                )
                for name in ("cpu_ratio", "memory_ratio", "disk_ratio")
            ],
        ]

    def __str__(self) -> str:
        return self.name

    def bounds(self) -> tuple[int | None, int | None, int | None]:
        """Most thousandths of a vCPU, MiB of memory and MiB of disk that may be promised; None: no bound."""
        facts = self.facts
        return (
            None if self.cpu_ratio is None else int(facts["cpus"] * 1000 * self.cpu_ratio),
            None if self.memory_ratio is None else int(facts["memory_bytes"] / 2**20 * self.memory_ratio),
            None if self.disk_ratio is None else int(facts["pool_bytes"] / 2**20 * self.disk_ratio),
        )

    def is_online(self, at: datetime | None = None) -> bool:
        """Heard of within the last 45 seconds; a time that lies ahead is a clock's that was set back."""
        now = at or timezone.now()
        return self.last_seen_at is not None and now - SILENT_AFTER < self.last_seen_at < now + SILENT_AFTER


class CpuPool(models.Model):
    """Processors of a node that only those environments run on that are in the pool."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="cpu_pools")
    name = models.CharField(max_length=63, validators=[RegexValidator(NAME_PATTERN)])
    processors = models.JSONField()
    """Their numbers, in order."""

    class Meta:
        ordering = ["node", "name"]
        constraints = [models.UniqueConstraint(fields=["node", "name"], name="cpu_pool_once")]

    def __str__(self) -> str:
        return self.name


class HostDevice(models.Model):
    """A device of a node's host that an administrator allows to be given to environments there."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="host_devices")
    name = models.CharField(max_length=63, validators=[RegexValidator(NAME_PATTERN)])
    known_by = models.JSONField()
    """`runtime.contract.AllowedDevice` without its name."""

    class Meta:
        ordering = ["node", "name"]
        constraints = [models.UniqueConstraint(fields=["node", "name"], name="host_device_once")]

    def __str__(self) -> str:
        return self.name

"""Snapshots of environments, and which root was made from one."""

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from panel.rights.scope import Scoped
from panel.storage.kept import Kept

#: Of what a schedule keeps the newest.
KEEPS = ("last", "hourly", "daily", "weekly", "monthly")


class Reason(models.TextChoices):
    """Why there is a snapshot."""

    ASKED = "asked", _("asked for")
    RESTORE = "restore", _("before a restore")
    REINSTALL = "reinstall", _("before a reinstall")
    SHRINK = "shrink", _("before its disk was made smaller")
    SCHEDULE = "schedule", _("by the schedule")


class Snapshots(Scoped["Snapshot"]):
    environment_relation = "environment"

    def wanted(self) -> "Snapshots":
        """Those that the node is to have."""
        return self.filter(removal=None)

    def open(self) -> "Snapshots":
        """Those that wait for the node."""
        return self.filter(Q(made_at=None) | Q(removal__isnull=False))


class Snapshot(Kept):
    """The whole disk of an environment as it was at one moment; kept on the environment's node."""

    environment = models.ForeignKey(
        "environments.Environment", on_delete=models.CASCADE, related_name="snapshots"
    )
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="snapshots")
    reason = models.CharField(max_length=16, choices=Reason, default=Reason.ASKED)
    image = models.CharField(max_length=400)
    """What the environment's root was made from at that time."""
    generation = models.PositiveBigIntegerField()
    """Of the environment, with which it was asked for."""
    expires_at = models.DateTimeField(null=True, blank=True)
    """When it is deleted by itself; None: never."""
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
            ),
            models.Index(
                fields=["expires_at"],
                name="snapshot_expires",
                condition=Q(expires_at__isnull=False, removal__isnull=True),
            ),
        ]

    def goes(self) -> bool:
        return self.removal is not None


class Takes(models.TextChoices):
    """What a schedule takes."""

    SNAPSHOTS = "snapshots", _("snapshots")
    BACKUPS = "backups", _("backups")


class Proves(models.TextChoices):
    """Which backups of a schedule are proved by themselves."""

    NEVER = "never", _("none")
    MONTHLY = "monthly", _("one a month")
    EACH = "each", _("each")


class Schedules(Scoped["Schedule"]):
    environment_relation = "environment"


class Of(models.TextChoices):
    """What a schedule is of: the name of the field that has it."""

    ENVIRONMENT = "environment", _("environment")
    VOLUME = "volume", _("volume")


class Schedule(models.Model):
    """When snapshots or backups of an environment or a volume are taken by themselves, and which are kept.

    Times are those of the tenant's zone. As with Debian's cron, a time that the clock's change skips is made up
    right after it, and one that it doubles runs once. What was missed (the panel was down) is made up for once.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(
        "environments.Environment", on_delete=models.CASCADE, null=True, blank=True, related_name="schedules"
    )
    volume = models.ForeignKey(
        "volumes.Volume", on_delete=models.CASCADE, null=True, blank=True, related_name="schedules"
    )
    """One of the two."""
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="schedules")
    takes = models.CharField(max_length=16, choices=Takes, default=Takes.SNAPSHOTS)
    target = models.UUIDField(null=True, blank=True)
    """Where backups go; None for snapshots."""
    proves = models.CharField(max_length=16, choices=Proves, default=Proves.NEVER)
    cron = models.CharField(max_length=100)
    """Five fields: minute, hour, day of the month, month, day of the week (crontab(5))."""
    keep_last = models.PositiveSmallIntegerField(default=0)
    keep_hourly = models.PositiveSmallIntegerField(default=0)
    keep_daily = models.PositiveSmallIntegerField(default=7)
    keep_weekly = models.PositiveSmallIntegerField(default=4)
    keep_monthly = models.PositiveSmallIntegerField(default=0)
    is_on = models.BooleanField(default=True)
    next_at = models.DateTimeField()
    last_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=300, blank=True, default="")
    """Why the last one was not taken; empty when it was."""
    version = models.PositiveIntegerField(default=1)

    objects = Schedules.as_manager()

    class Meta:
        ordering = ["next_at"]
        indexes = [models.Index(fields=["next_at"], name="schedule_due", condition=Q(is_on=True))]
        constraints = [
            models.UniqueConstraint(fields=["environment", "takes"], name="schedule_once"),
            models.UniqueConstraint(fields=["volume", "takes"], name="schedule_once_of_volume"),
            models.CheckConstraint(
                condition=Q(environment__isnull=True) ^ Q(volume__isnull=True), name="schedule_of_one"
            ),
        ]

    def __str__(self) -> str:
        return self.cron

    @property
    def of(self) -> Of:
        return Of.ENVIRONMENT if self.volume_id is None else Of.VOLUME

    @property
    def subject_id(self) -> uuid.UUID:
        """Of the environment or volume."""
        found = self.environment_id or self.volume_id
        assert found is not None
        return found


class Origin(models.Model):
    """The snapshot that an environment's newest root was made from. None, or one of an older install: it was
    made from its image."""

    environment = models.OneToOneField(
        "environments.Environment", on_delete=models.CASCADE, primary_key=True, related_name="origin"
    )
    source = models.UUIDField()
    """Environment whose snapshot it was."""
    snapshot = models.UUIDField()
    backup = models.UUIDField(null=True, blank=True)
    """It comes from this backup, and `snapshot` is its id too."""
    installs = models.PositiveIntegerField()
    """The count of installs that it belongs to."""
    generation = models.PositiveBigIntegerField()
    """Of the environment, with which it was asked for."""
    before = models.JSONField(null=True, blank=True)
    """Source, snapshot and count of installs of the root before, to go back to where the node refuses; null
    once it was brought about."""

    def __str__(self) -> str:
        return str(self.snapshot)

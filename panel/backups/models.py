"""Targets that backups go to, and backups. Both outlive the environments."""

import hashlib
import uuid
from base64 import b64decode, b64encode
from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from panel.nodes.models import Node
from panel.rights.scope import Scoped
from panel.states import Tone
from panel.storage.kept import Kept
from panel.storage.models import Schedule, Takes


class Targets(Scoped["Target"]):
    """Whole tenants' alone: who sees one environment of a tenant sees no target of it."""


class Target(models.Model):
    """Where a tenant's backups are kept: one encrypted repository."""

    class Kind(models.TextChoices):
        DIRECTORY = "directory", _("directory of a node")
        SFTP = "sftp", _("server by SFTP")
        S3 = "s3", _("bucket by S3")
        NODE = "node", _("directory of another node")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="backup_targets")
    name = models.CharField(max_length=63)
    """A name as environments have it: the directory is called by it."""
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.DIRECTORY)
    node = models.ForeignKey(
        "nodes.Node", on_delete=models.PROTECT, null=True, blank=True, related_name="backup_targets"
    )
    """Whose directory it is; of the kind `directory`, for environments of this node alone. None: a server."""
    place = models.JSONField(null=True, blank=True)
    """Of a server, as `runtime.contract.SftpPlace` or `S3Place`; nothing in it is secret."""
    login = models.TextField(blank=True, default="")
    """What opens the server, as `SftpLogin` or `S3Keys`. Encrypted (`panel.at_rest`)."""
    upload_mbit_s = models.PositiveIntegerField(null=True, blank=True)
    """The most that goes to a server, by an administrator; None: no bound."""
    download_mbit_s = models.PositiveIntegerField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    """When it was last asked, well or not; of a server alone without being told to."""
    problem = models.CharField(max_length=300, blank=True, default="")
    """What the last check found amiss."""
    password = models.TextField()
    """Encrypted (`panel.at_rest`)."""
    repository_id = models.CharField(max_length=64, blank=True, default="")
    """As the first backup found it; empty: there was none yet."""
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    objects = Targets.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="backup_target_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def where(self) -> str:
        """For people."""
        if self.place is None:
            return str(self.node)
        if self.kind == self.Kind.S3:
            below = f"/{self.place['prefix']}" if self.place.get("prefix") else ""
            return f"{self.place['endpoint']}/{self.place['bucket']}{below}"
        return f"{self.place['user']}@{self.place['host']}:{self.place['path']}"

    @property
    def only_node(self) -> Node | None:
        """The one node that gets at it; None: all do."""
        return self.node if self.kind == self.Kind.DIRECTORY else None

    @property
    def is_checked(self) -> bool:
        """It is asked when it is named: a directory is seen by the first backup."""
        return self.kind != self.Kind.DIRECTORY

    @property
    def fingerprint(self) -> str:
        """Of the key of its server, as ssh writes it; empty: none is known."""
        key = (self.place or {}).get("host_key")
        if not key:
            return ""
        digest = hashlib.sha256(b64decode(key.split()[1])).digest()
        return f"SHA256:{b64encode(digest).decode().rstrip('=')}"


class Reason(models.TextChoices):
    """Why there is a backup."""

    ASKED = "asked", _("asked for")
    SCHEDULE = "schedule", _("by the schedule")


class Seal(models.TextChoices):
    """What is known of a backup: whether a system made of it starts."""

    NONE = "none", _("not proved")
    PROVED = "proved", _("proved")
    FAILED = "failed", _("the proof failed")

    @property
    def tone(self) -> Tone:
        return {Seal.NONE: Tone.OFF, Seal.PROVED: Tone.OK}.get(self, Tone.BAD)


class DrillReport(models.Model):
    """The letter about a tenant's proofs of one month was written."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="drill_reports")
    month = models.DateField()
    """Its first day."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "month"], name="drill_report_once")]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class KeptBy(models.TextChoices):
    """What decides how long a backup stays."""

    DATE = "date", _("until its date")
    SCHEDULE = "schedule", _("as its schedule says")
    HAND = "hand", _("until somebody deletes it")


class Backups(Scoped["Backup"]):
    environment_relation = "environment"

    def with_schedule(self) -> "Backups":
        """Each with `has_schedule`: whether a schedule of its environment or volume decides about it."""
        of_environment = models.Q(environment=models.OuterRef("environment"))
        of_volume = models.Q(volume=models.OuterRef("volume"))
        rows = Schedule.objects.filter(of_environment | of_volume, takes=Takes.BACKUPS)
        living = models.Q(environment__deleted_at__isnull=True, reason=Reason.SCHEDULE)
        return self.annotate(has_schedule=living & models.Exists(rows))


class Backup(Kept):
    """The disk of an environment, or a volume, as it was at one moment, in the repository of a target."""

    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="backups")
    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="backups")
    environment = models.ForeignKey(
        "environments.Environment", on_delete=models.SET_NULL, null=True, blank=True, related_name="backups"
    )
    volume = models.ForeignKey(
        "volumes.Volume", on_delete=models.SET_NULL, null=True, blank=True, related_name="backups"
    )
    is_of_volume = models.BooleanField(default=False)
    """In place of an environment."""
    of = models.UUIDField()
    """The id of the environment or volume; kept, as its name, after that is gone."""
    of_name = models.CharField(max_length=63)
    reason = models.CharField(max_length=16, choices=Reason, default=Reason.ASKED)
    document = models.JSONField()
    """What the environment was, to make one like it: see `panel.backups.about`."""
    snapshot = models.CharField(max_length=64, blank=True, default="")
    """Of the repository; empty while it is being made."""
    bytes = models.PositiveBigIntegerField(default=0)
    """Of its files, unpacked."""
    added_bytes = models.PositiveBigIntegerField(default=0)
    """By which the repository grew."""
    files = models.PositiveBigIntegerField(default=0)
    is_going = models.BooleanField(default=False)
    """Its removal was asked for."""
    proved_at = models.DateTimeField(null=True, blank=True)
    """When a system made of it was last seen to start; None: never, or not the last time."""
    kept_until = models.DateTimeField(null=True, blank=True)
    """When it is deleted by itself; None: not before somebody does, or its schedule keeps it no more."""
    proof = models.JSONField(null=True, blank=True)
    """Of the newest proof that came to an end: `at`, `is_proved`, `said`, `screen`, `up_after_s`."""

    objects = Backups.as_manager()

    class Meta:
        ordering = ["-created_at", "pk"]
        indexes = [
            models.Index(fields=["of", "created_at"], name="backup_of"),
            models.Index(
                fields=["kept_until"],
                name="backup_expires",
                condition=models.Q(kept_until__isnull=False, is_going=False),
            ),
        ]

    def goes(self) -> bool:
        return self.is_going

    @property
    def mib(self) -> int:
        """What a disk has to hold at least."""
        return -(-self.bytes // 2**20)

    @property
    def kept_by(self) -> KeptBy:
        """Of one that was asked for `with_schedule`; else at the price of a query."""
        if self.kept_until is not None:
            return KeptBy.DATE
        known: bool | None = getattr(self, "has_schedule", None)
        if known is None:
            row = Backup.objects.with_schedule().filter(pk=self.pk).first()
            known = row is not None and bool(getattr(row, "has_schedule", False))
        return KeptBy.SCHEDULE if known else KeptBy.HAND

    @property
    def proof_at(self) -> datetime | None:
        return datetime.fromisoformat(self.proof["at"]) if self.proof is not None else None

    @property
    def seal(self) -> Seal:
        if self.proof is None:
            return Seal.NONE
        return Seal.PROVED if self.proof["is_proved"] else Seal.FAILED

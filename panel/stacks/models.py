"""Stacks, and the environments and volumes that each has."""

import json
import uuid
from typing import Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from panel.at_rest import encrypted, plain
from panel.environments.models import Environment
from panel.rights.scope import Scoped
from panel.stacks.compose import Source
from panel.states import Tone
from panel.volumes.models import Volume
from runtime.contract.base import NAME_PATTERN

#: Environments are called NAME-SERVICE-NUMBER, within 63 letters.
LONGEST_NAME = 40


class Wanted(models.TextChoices):
    RUNNING = "running", _("running")
    STOPPED = "stopped", _("stopped")
    DELETED = "deleted", _("deleted")


class StackState(models.TextChoices):
    """Of all its environments, the word that a person reads."""

    WORKING = "working", _("at work")
    RUNNING = "running", _("running")
    STOPPED = "stopped", _("stopped")
    PARTLY = "partly", _("partly running")
    FAILED = "failed", _("failed")
    DELETING = "deleting", _("deleting")

    @property
    def tone(self) -> Tone:
        return _TONES[self]


_TONES = {
    StackState.WORKING: Tone.BUSY,
    StackState.RUNNING: Tone.OK,
    StackState.STOPPED: Tone.OFF,
    StackState.PARTLY: Tone.WARN,
    StackState.FAILED: Tone.BAD,
    StackState.DELETING: Tone.BUSY,
}


class Stacks(Scoped["Stack"]):
    """Whole tenants' alone: who sees one environment of a tenant sees no stack of it."""


class Stack(models.Model):
    """A Compose file of a tenant, and how it is wanted."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.PROTECT, related_name="stacks")
    node = models.ForeignKey("nodes.Node", on_delete=models.PROTECT, related_name="stacks")
    """All of it is there: its environments reach each other, and its volumes are at hand."""
    name = models.CharField(max_length=LONGEST_NAME, validators=[RegexValidator(NAME_PATTERN)])
    compose = models.TextField()
    given = models.TextField(blank=True, default="")
    """Encrypted: variables and files, as JSON (`Given`)."""
    kept = models.TextField(blank=True, default="")
    """Encrypted: what it was before the last change, as JSON."""
    profiles = models.JSONField(default=list, blank=True)
    scale = models.JSONField(default=dict, blank=True)
    """Copies by service, in place of the file's."""
    plan = models.CharField(max_length=63, blank=True, default="")
    limits = models.JSONField(default=dict, blank=True)
    """Of each service that says nothing itself."""
    volume_mb = models.PositiveIntegerField()
    """Of each volume that says nothing itself."""
    catalogue = models.CharField(max_length=64, blank=True, default="")
    """The entry that it was made from."""
    wanted = models.CharField(max_length=16, choices=Wanted.choices, default=Wanted.RUNNING)
    operation_id = models.UUIDField(null=True, blank=True)
    """The newest."""
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    objects = Stacks.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="stack_once")]

    def __str__(self) -> str:
        return self.name

    @property
    def values(self) -> dict[str, Any]:
        """Variables and files, in plain text: for reading the file, and for nobody's eyes."""
        text = plain(self.given)
        found: dict[str, Any] = json.loads(text) if text else {}
        return {"env": "", "variables": {}, "files": {}, **found}

    @property
    def before(self) -> dict[str, Any]:
        """What it was before it was changed last; empty: it never was."""
        text = plain(self.kept)
        found: dict[str, Any] = json.loads(text) if text else {}
        return found

    def keep(self, before: dict[str, Any]) -> None:
        self.kept = encrypted(json.dumps(before, sort_keys=True))

    @property
    def as_asked(self) -> dict[str, Any]:
        """All that its environments follow from."""
        names = ("compose", "profiles", "scale", "plan", "limits", "volume_mb")
        return {**{name: getattr(self, name) for name in names}, **self.values}

    def keep_values(self, values: dict[str, Any]) -> None:
        self.given = encrypted(json.dumps(values, sort_keys=True))

    @property
    def source(self) -> Source:
        values = self.values
        return Source(
            self.compose,
            env=values["env"],
            variables=values["variables"],
            files=values["files"],
            profiles=tuple(self.profiles),
            scale=dict(self.scale),
        )


class Member(models.Model):
    """An environment as one copy of a service."""

    stack = models.ForeignKey(Stack, on_delete=models.CASCADE, related_name="members")
    environment = models.OneToOneField(Environment, on_delete=models.CASCADE, related_name="member")
    service = models.CharField(max_length=63)
    number = models.PositiveIntegerField()
    digests = models.JSONField()
    """Of each part that it was made from: whose are others now is made anew."""
    names = models.JSONField(default=dict, blank=True)
    """Whom its node was told of: addresses by name."""

    class Meta:
        ordering = ["service", "number"]

    def __str__(self) -> str:
        return f"{self.service} {self.number}"


class StackVolume(models.Model):
    """A volume as the file calls it."""

    stack = models.ForeignKey(Stack, on_delete=models.CASCADE, related_name="volumes")
    volume = models.OneToOneField(Volume, on_delete=models.CASCADE, related_name="in_stack")
    key = models.CharField(max_length=63)

    class Meta:
        ordering = ["key"]
        constraints = [models.UniqueConstraint(fields=["stack", "key"], name="stack_volume_once")]

    def __str__(self) -> str:
        return self.key

"""Stages of a line, what each has run, and the rollouts that change it."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from panel.environments.models import Environment
from panel.rights.scope import Scoped
from panel.states import Tone
from runtime.contract import Reference


class Stages(Scoped["Stage"]):
    """Whole tenants' alone."""


class Stage(models.Model):
    """One of a line (development, test, production): the environments that run the same image."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="stages")
    line = models.CharField(max_length=63)
    name = models.CharField(max_length=63)
    place = models.PositiveSmallIntegerField()
    """Within its line; promoted is to the next one."""
    needs_health = models.BooleanField(default=True)
    """Nothing goes on from here unless all of it runs and none is unhealthy."""
    command = models.JSONField(default=list, blank=True)
    """Nothing goes on from here unless it exits with 0 in the first environment; empty: none."""
    needs_yes = models.BooleanField(default=False)
    """Nothing goes on from here unless a person says yes."""
    drain_s = models.PositiveSmallIntegerField(default=3)
    """How long requests that are under way have, before a copy is replaced."""
    created_at = models.DateTimeField(auto_now_add=True)

    objects = Stages.as_manager()

    class Meta:
        ordering = ["tenant", "line", "place"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "line", "name"], name="stage_once"),
            models.UniqueConstraint(fields=["tenant", "line", "place"], name="stage_place_once"),
        ]

    def __str__(self) -> str:
        return f"{self.line}/{self.name}"


class StageCopy(models.Model):
    """An environment of a stage; of one stage only."""

    stage = models.ForeignKey(Stage, on_delete=models.CASCADE, related_name="copies")
    environment = models.OneToOneField(Environment, on_delete=models.CASCADE, related_name="stage_copy")

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return str(self.environment_id)


class StageVersion(models.Model):
    """What a stage ran, since when: its history."""

    stage = models.ForeignKey(Stage, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    """Going back to a version gives its number again."""
    image = models.CharField(max_length=400)
    """With its digest."""
    came_from = models.CharField(max_length=63, blank=True, default="")
    """Name of the stage that it was promoted from."""
    who_name = models.CharField(max_length=150, blank=True, default="")
    operation_id = models.UUIDField(null=True, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.number} {self.image}"

    @property
    def tagged(self) -> str:
        """The last part of its name with the tag; empty without one."""
        known = Reference.parse(self.image)
        return f"{known.repository.rpartition('/')[2]}:{known.tag}" if known.tag else ""

    @property
    def short_digest(self) -> str:
        """Twelve digits, as docker shows them."""
        return Reference.parse(self.image).digest.partition(":")[2][:12]


class RolloutState(models.TextChoices):
    CHECKING = "checking", _("being checked")
    WAITING = "waiting", _("waits for a yes")
    ROLLING = "rolling", _("being rolled out")
    BACK = "back", _("going back")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")

    @property
    def tone(self) -> Tone:
        return _TONES.get(self, Tone.BUSY)


_TONES = {RolloutState.DONE: Tone.OK, RolloutState.FAILED: Tone.BAD, RolloutState.WAITING: Tone.WARN}
OPEN = (RolloutState.CHECKING, RolloutState.WAITING, RolloutState.ROLLING, RolloutState.BACK)


class Phase(models.TextChoices):
    """Of the copy that is being replaced."""

    DRAIN = "drain"
    REPLACE = "replace"
    SETTLE = "settle"


class Rollout(models.Model):
    """An image on its way to all copies of a stage. Its row is all that a worker needs to go on."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    stage = models.ForeignKey(Stage, on_delete=models.CASCADE, related_name="rollouts")
    source = models.ForeignKey(Stage, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    """That it is promoted from; None: it isn't."""
    operation = models.OneToOneField("operations.Operation", on_delete=models.CASCADE, related_name="rollout")
    image = models.CharField(max_length=400)
    number = models.PositiveIntegerField(null=True, blank=True)
    """Of the version that it goes back to; None: it makes a new one."""
    state = models.CharField(max_length=16, choices=RolloutState.choices)
    phase = models.CharField(max_length=16, choices=Phase.choices, default=Phase.DRAIN)
    phase_at = models.DateTimeField(null=True, blank=True)
    todo = models.JSONField(default=list)
    """Ids of environments that are still to be replaced, the one at hand first."""
    before = models.JSONField(default=dict)
    """What each ran, by id: what it goes back to."""
    generation = models.PositiveBigIntegerField(default=0)
    """Of the environment at hand, that is waited for."""
    approved_by = models.CharField(max_length=150, blank=True, default="")
    problem = models.CharField(max_length=400, blank=True, default="")
    """What went wrong, while it goes back."""

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["stage"],
                condition=models.Q(state__in=["checking", "waiting", "rolling", "back"]),
                name="rollout_one_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"{self.image} → {self.stage_id}"

    @property
    def shown_state(self) -> RolloutState:
        return RolloutState(self.state)

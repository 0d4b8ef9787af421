"""The numbers of jails, and updates of their bases."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from panel.environments.models import Environment
from panel.rights.scope import Scoped
from panel.states import Tone


class JailNumber(models.Model):
    """The jid of a jail: counted in its tenant, kept as long as the jail is there, and given to no other at the
    same time."""

    environment = models.OneToOneField(
        Environment, on_delete=models.CASCADE, primary_key=True, related_name="jail_number"
    )
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    number = models.PositiveIntegerField()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["tenant", "number"], name="jail_number_once")]

    def __str__(self) -> str:
        return str(self.number)


class BaseUpdateState(models.TextChoices):
    CHECKING = "checking", _("being checked")
    ROLLING = "rolling", _("being rolled out")
    BACK = "back", _("going back")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")

    @property
    def tone(self) -> Tone:
        return _TONES.get(self, Tone.BUSY)


_TONES = {BaseUpdateState.DONE: Tone.OK, BaseUpdateState.FAILED: Tone.BAD}
OPEN = (BaseUpdateState.CHECKING, BaseUpdateState.ROLLING, BaseUpdateState.BACK)


class BaseUpdates(Scoped["BaseUpdate"]):
    """Whole tenants' alone."""


class BaseUpdate(models.Model):
    """Thin jails of a tenant on their way to the newest build of their image, one after the other, or on their
    way back. Its row is all that a worker needs to go on."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+")
    operation = models.OneToOneField(
        "operations.Operation", on_delete=models.CASCADE, related_name="base_update"
    )
    image = models.CharField(max_length=64)
    command = models.JSONField(default=list, blank=True)
    """Of its health: a jail is well where it ends with 0 inside; empty: where it runs."""
    goes_back_to = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    """The update that this one takes back."""
    state = models.CharField(max_length=16, choices=BaseUpdateState.choices)
    is_asked = models.BooleanField(default=False)
    """The jail at hand was told; what comes of it is waited for."""
    since = models.DateTimeField(null=True, blank=True)
    """When it was."""
    todo = models.JSONField(default=list)
    """Ids of jails that are still to be brought to it, the one at hand first."""
    before = models.JSONField(default=dict)
    """Build of each jail before, by id, as in its options."""
    after = models.JSONField(default=dict)
    """Build that each is brought to."""
    generation = models.PositiveBigIntegerField(default=0)
    """Of the jail at hand, that is waited for."""
    proven = models.PositiveBigIntegerField(default=0)
    """The generation that the command ended well at."""
    problem = models.CharField(max_length=400, blank=True, default="")
    """What went wrong, while it goes back."""

    objects = BaseUpdates.as_manager()

    class Meta:
        ordering = ["-operation__created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"],
                condition=models.Q(state__in=["checking", "rolling", "back"]),
                name="base_update_one_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"{self.image} ({self.tenant_id})"

    @property
    def shown_state(self) -> BaseUpdateState:
        return BaseUpdateState(self.state)

    @property
    def updated(self) -> list[str]:
        """Ids of the jails that it has brought to their new build."""
        return [pk for pk in self.after if pk not in self.todo]

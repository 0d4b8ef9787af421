"""What snapshots and backups have in common: name, state, age, who asked; of an environment or a volume."""

import uuid
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import models
from django.forms import Form
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from panel.errors import Conflict, NotFound
from panel.states import Tone
from panel.text import line

_MOST_CHARACTERS = 63


class KeptState(models.TextChoices):
    MAKING = "making", _("being made")
    READY = "ready", _("ready")
    GOING = "going", _("being deleted")

    @property
    def tone(self) -> Tone:
        return Tone.OK if self is KeptState.READY else Tone.BUSY


class Kept(models.Model):
    """A disk as it was at one moment, kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=_MOST_CHARACTERS)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    made_at = models.DateTimeField(null=True, blank=True)
    """When the node said that it is there."""

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> KeptState:
        if self.goes():
            return KeptState.GOING
        return KeptState.READY if self.made_at is not None else KeptState.MAKING

    def goes(self) -> bool:
        """Its removal was asked for."""
        raise NotImplementedError


def named(name: str) -> str:
    """As it was asked for, else by the time. Raises `Invalid`."""
    by_time = f"{timezone.localtime():%Y-%m-%d %H:%M:%S}"
    return line(name or by_time, field="name", most=_MOST_CHARACTERS, least=1)


def before(name: str) -> str:
    """Name of the snapshot that is taken before a disk goes back to what is called `name`."""
    return (gettext("before %(name)s") % {"name": name})[:_MOST_CHARACTERS]


K = TypeVar("K", bound=Kept)


def snapshot_of(rows: "models.QuerySet[K, K]", snapshot_id: UUID) -> K:
    """Raises `NotFound`."""
    found = rows.filter(pk=snapshot_id).first()
    if found is None:
        raise NotFound(gettext("This snapshot"))
    return found


def ready_snapshot_of(rows: "models.QuerySet[K, K]", snapshot_id: UUID) -> K:
    """Raises `NotFound`, and `Conflict` for one that isn't made yet or goes."""
    found = snapshot_of(rows, snapshot_id)
    if found.state != KeptState.READY:
        raise Conflict(
            gettext("This snapshot is not ready."),
            code="snapshot_not_ready",
            next_step=gettext("Wait until it is made."),
        )
    return found


def uses(*ids: UUID, back: str, new: str, form: Form, is_open: bool) -> dict[str, Any]:
    """For `storage/_kept.html`. `back`: the route by which its disk goes back to it; `new`: the one by which
    `form` makes something new of it. Empty: not now, or not by this reader. `is_open`: the form was refused."""
    return {
        "back": reverse(back, args=ids) if back else "",
        "new": reverse(new, args=ids) if new else "",
        "form": form,
        "is_open": is_open,
    }

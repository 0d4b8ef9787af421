"""Volumes that a new app begins with: what `docker run -v` and Compose write, read into attachments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _
from pydantic import Field

from panel.contract_input import parse
from panel.environments.features import Reserved
from panel.environments.models import Environment
from panel.errors import Invalid
from panel.volumes.attaching import check_free, check_path, overlap
from panel.volumes.models import Attachment, Volume
from runtime.contract import MOST_ATTACHED, AttachedVolume
from runtime.contract.base import Message

FIELD = "app.volumes"
_MODES = {"": False, "rw": False, "ro": True}


class _Asked(Message):
    """One as an object."""

    volume: str = Field(min_length=1, max_length=64)
    path: str = Field(max_length=255)
    read_only: bool = False


@dataclass(frozen=True)
class Named:
    volume: str
    """By name or id, of the environment's tenant."""
    path: str
    read_only: bool = False


def named(asked: Sequence[Any]) -> list[Named]:
    """Raises `Invalid` for what names no volume, or two at one place."""
    if len(asked) > MOST_ATTACHED:
        raise Invalid(_("An environment has at most %(most)s volumes.") % {"most": MOST_ATTACHED}, field=FIELD)
    found = [_one(each) for each in asked]
    for number, one in enumerate(found):
        other = next((each for each in found[:number] if overlap(each.path, one.path)), None)
        if other is not None:
            raise Invalid(_("A volume is attached at %(path)s already.") % {"path": other.path}, field=FIELD)
    return found


def _one(asked: Any) -> Named:
    if isinstance(asked, Mapping):
        known = parse(_Asked, asked, FIELD)
        return Named(known.volume, check_path(known.path, FIELD), known.read_only)
    parts = asked.split(":") if isinstance(asked, str) else []
    if len(parts) not in (2, 3) or (parts[2:] and parts[2] not in _MODES):
        raise Invalid(
            _("%(text)s names no volume: write NAME:/path or NAME:/path:ro.") % {"text": str(asked)[:60]},
            field=FIELD,
        )
    if parts[0][:1] in ("/", ".", "~", ""):
        raise Invalid(
            _("%(text)s is a path of the node, which no environment sees.") % {"text": parts[0][:60]},
            field=FIELD,
            next_step=_("Make a volume, and name that."),
        )
    return Named(parts[0], check_path(parts[1], FIELD), _MODES[parts[2]] if parts[2:] else False)


class FromTheStart(Reserved):
    """Attachments of a new environment, each of a volume that is locked."""

    def __init__(self, environment: Environment, asked: Sequence[Named]) -> None:
        self._environment = environment
        self._rows = [self._row(one) for one in asked]
        self.parts = {
            "volumes": tuple(
                AttachedVolume(volume_id=one.volume_id, path=one.path, read_only=one.read_only)
                for one in self._rows
            )
        }
        self.audited = {"volumes": [f"{one.volume.name}:{one.path}" for one in self._rows]}

    def _row(self, one: Named) -> Attachment:
        environment = self._environment
        volume = (
            Volume.objects.select_for_update(of=("self",))
            .filter(_is_called(one.volume), tenant=environment.tenant)
            .first()
        )
        if volume is None:
            raise Invalid(_("There is no volume %(name)s.") % {"name": one.volume}, field=FIELD)
        check_free(environment, volume, read_only=one.read_only)
        return Attachment(
            volume=volume,
            environment=environment,
            path=one.path,
            read_only=one.read_only,
            generation=environment.generation,
        )

    def save(self) -> None:
        Attachment.objects.bulk_create(self._rows)


def _is_called(text: str) -> Q:
    try:
        return Q(pk=UUID(text))
    except ValueError:
        return Q(name=text)

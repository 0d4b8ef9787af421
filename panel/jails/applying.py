"""A Bastillefile applied to a jail: its limits and forwards at once or not at all, then its steps inside."""

from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from panel.environments import services as environments
from panel.environments.models import Environment
from panel.environments.selectors import living_one
from panel.errors import Conflict, Invalid
from panel.jails.conf import BadConf
from panel.jails.meaning import Remark
from panel.jails.services import BadJailConf
from panel.jails.template import Template, failed_line, understood
from panel.networks.forwards import add_forward
from panel.nodes.agent import Agent
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.serving.shares import Place
from runtime.contract import Base, Kind, ObservedState

FIELD = "template"
#: All steps together.
WITHIN_S = 600.0
_MOST_FILES = 200


class BadTemplate(BadJailConf):
    code = "bad_template"
    of_field = FIELD


@dataclass(frozen=True)
class Asked:
    template: str
    files: Mapping[str, str] = field(default_factory=dict)
    """By their paths in the template; `base64:` in front of what is no text."""
    args: Mapping[str, str] = field(default_factory=dict)
    leaves_out: bool = False
    """What can't be honoured is left out; else it is refused."""
    within_s: float = WITHIN_S


@dataclass(frozen=True)
class Applying:
    """What runs inside, and the place that it takes until then. Awaited."""

    template: Template
    result: Callable[[], Awaitable[dict[str, Any]]]
    place: Place


def preview(actor: Actor, jail_id: UUID, asked: Asked) -> Template:
    """What each line becomes. Nothing is changed, and whatever would be refused is."""
    row = _jail(actor, jail_id)
    found = _understood(row, asked)
    with transaction.atomic():
        _change(actor, row, found)
        transaction.set_rollback(True)
    return found


def apply(actor: Actor, jail_id: UUID, asked: Asked) -> Applying:
    """Raises a `Refused`, and has changed nothing then."""
    row = _jail(actor, jail_id)
    found = _understood(row, asked)
    if found.left_out and not asked.leaves_out:
        raise BadTemplate(
            found.left_out, _("Take it out of the template, or say that what can't be honoured is left out.")
        )
    if found.steps and row.observed_state != ObservedState.RUNNING:
        raise Conflict(
            _("It doesn't run: its steps run inside."), code="not_running", next_step=_("Start it first.")
        )
    with transaction.atomic():
        running = environments.execute(
            actor, row, Agent(row.node), command=["/bin/sh", "-s"], timeout_s=asked.within_s, stdin=found.script
        )
        try:
            _change(actor, row, found)
        except BaseException:
            running.place.give_back()
            raise

    async def result() -> dict[str, Any]:
        if not found.steps:
            return {"exit_code": 0, "stdout": "", "stderr": "", "timed_out": False, "failed_line": None}
        done: Mapping[str, Any] = await running.result()
        shown = {name: done[name] for name in ("exit_code", "stdout", "stderr", "timed_out")}
        return {**shown, "failed_line": failed_line(done["stderr"]) if done["exit_code"] else None}

    return Applying(found, result, running.place)


def _jail(actor: Actor, jail_id: UUID) -> Environment:
    row = living_one(actor, jail_id)
    actor.require(Permission.ENVIRONMENT_EXEC, row)
    if row.kind != Kind.JAIL:
        raise Invalid(_("%(name)s is no jail.") % {"name": row.name}, field=FIELD)
    return row


def _understood(row: Environment, asked: Asked) -> Template:
    if len(asked.files) > _MOST_FILES:
        raise Invalid(_("At most %(most)s files.") % {"most": _MOST_FILES}, field="files")
    files = {path.strip("/"): _bytes_of(path, text) for path, text in asked.files.items()}
    is_thin = row.wanted.jail is not None and row.wanted.jail.base is Base.THIN
    try:
        return understood(asked.template, files, asked.args, is_thin=is_thin)
    except BadConf as bad:
        raise BadTemplate([Remark(bad.line, "", bad.text)]) from bad


def _bytes_of(path: str, text: str) -> bytes:
    if not text.startswith("base64:"):
        return text.encode()
    try:
        return b64decode(text.removeprefix("base64:"), validate=True)
    except (BadBase64, ValueError) as error:
        raise Invalid(_("%(name)s is no base64.") % {"name": path[:80]}, field="files") from error


def _change(actor: Actor, row: Environment, found: Template) -> Sequence[str]:
    """All of it in one transaction."""
    changes: dict[str, Any] = {}
    if found.limits:
        changes["limits"] = found.limits
    if found.tags:
        changes["tags"] = [*row.tags.values_list("name", flat=True), *found.tags]
    if changes:
        environments.update_environment(actor, row.pk, changes)
    for protocol, node_port, port in found.forwards:
        add_forward(actor, row.pk, protocol=protocol, port=port, node_port=node_port)
    return list(changes)

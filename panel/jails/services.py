"""A jail.conf made into jails: all of them, or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from panel.environments import services as environments
from panel.environments.services import Changed
from panel.errors import Invalid, Refused
from panel.jails.conf import BadConf
from panel.jails.meaning import Remark, Wanted, understood
from panel.jails.rctl import lay_rules
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from runtime.contract import Base

_MOST_TOLD = 100


class BadJailConf(Refused):
    """It can't be read, or asks for what can't be had and nobody said that this is left out."""

    code = "bad_jail_conf"
    status = 422
    of_field = "conf"

    def __init__(self, remarks: Sequence[Remark], next_step: str = "") -> None:
        self.remarks = remarks
        text = line_of(remarks[0])
        if len(remarks) > 1:
            text = _("%(first)s (and %(more)s more)") % {"first": text, "more": len(remarks) - 1}
        super().__init__(text, field=self.of_field, next_step=next_step)

    @property
    def errors(self) -> list[dict[str, str]]:
        return [{"field": self.of_field, "message": line_of(one)} for one in self.remarks[:_MOST_TOLD]]


def line_of(one: Remark) -> str:
    where = f"{one.parameter}: " if one.parameter else ""
    return _("line %(line)s: %(text)s") % {"line": one.line, "text": f"{where}{one.text}"}


@dataclass(frozen=True)
class Asked:
    """What the file doesn't say. Of each jail."""

    conf: str
    rctl: str = ""
    """Rules for them, as rctl.conf(5) has them."""
    image: str = ""
    base: str = Base.THIN
    plan: str = ""
    limits: Mapping[str, Any] | None = None
    ssh_keys: Sequence[str] = ()
    is_started: bool = True
    leaves_out: bool = False
    """What can't be honoured is left out; else it is refused."""


@dataclass(frozen=True)
class Imported:
    wanted: Wanted
    changed: Changed


def preview_import(actor: Actor, tenant: Tenant, asked: Asked) -> list[Wanted]:
    """What each would be asked for with. Nothing is made, and whatever would be refused is: names that are
    taken, the quota, the room on nodes."""
    actor.require(Permission.ENVIRONMENT_CREATE, tenant)
    jails = _understood(asked)
    with transaction.atomic():
        _make(actor, tenant, asked, jails)
        transaction.set_rollback(True)
    return jails


def import_conf(actor: Actor, tenant: Tenant, asked: Asked) -> list[Imported]:
    """Raises a `Refused`, and makes nothing then."""
    actor.require(Permission.ENVIRONMENT_CREATE, tenant)
    jails = _understood(asked)
    left_out = [remark for one in jails for remark in one.left_out]
    if left_out and not asked.leaves_out:
        raise BadJailConf(
            sorted(set(left_out), key=lambda one: (one.line, one.parameter)),
            _("Take it out of the file, or say that what can't be honoured is left out."),
        )
    with transaction.atomic():
        return _make(actor, tenant, asked, jails)


def _understood(asked: Asked) -> list[Wanted]:
    try:
        jails = understood(asked.conf)
        lay_rules(jails, asked.rctl)
        return jails
    except BadConf as bad:
        raise BadJailConf([Remark(bad.line, "", bad.text)]) from bad


def _make(actor: Actor, tenant: Tenant, asked: Asked, jails: Sequence[Wanted]) -> list[Imported]:
    """Those that others depend on first."""
    made = {}
    for one in sorted(jails, key=lambda jail: -jail.order):
        made[one.name] = Imported(one, _made(actor, tenant, asked, one))
    return [made[one.name] for one in jails]


def _made(actor: Actor, tenant: Tenant, asked: Asked, one: Wanted) -> Changed:
    values = one.values
    try:
        return environments.create_environment(
            actor,
            tenant,
            kind="jail",
            image=asked.image,
            plan=asked.plan,
            limits={**(asked.limits or {}), **one.limits} or None,
            ssh_keys=asked.ssh_keys,
            is_started=asked.is_started,
            **{**values, "jail": {**values["jail"], "base": asked.base}},
        )
    except Refused as refusal:
        if isinstance(refusal, Invalid) and refusal.field in ("image", "plan", "limits", "ssh_keys"):
            raise
        refusal.message = _("line %(line)s: %(text)s") % {
            "line": one.line,
            "text": f"{one.name}: {refusal.message}",
        }
        raise

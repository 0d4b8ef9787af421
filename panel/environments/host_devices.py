"""Devices of its node's host that an environment has: which it may have, and what is to be seen of them."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from django.utils.translation import gettext as _

from panel.environments import answers
from panel.environments.models import Environment
from panel.errors import Conflict
from panel.nodes.host_devices import allowed, has, states, why_not
from panel.nodes.models import HostDevice
from panel.plans.rules import refuse_device, why_no_device
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from runtime.contract import Kernel

#: Beside the words of the contract: it hasn't got it.
HIDDEN = "hidden"


def check(actor: Actor, row: Environment, had: Sequence[str] = ()) -> None:
    """Of those that it hasn't `had`: `Invalid` for one that its plan leaves out, or that the actor may not give
    without a plan; `Conflict` for one that its node hasn't, or that another environment has. Within a
    transaction."""
    may_give = actor.can(Permission.SECURITY_MANAGE, row.tenant)
    new = [name for name in row.wanted.host_device_names if name not in had]
    for name in row.wanted.host_device_names:
        if row.plan_version is not None or name in new:
            refuse_device(why_no_device(row.plan_version, name, may_give=may_give), field="host_devices")
    if new and row.kernel != Kernel.SHARED:
        raise Conflict(
            _("Devices of the node are given to environments on the host's kernel only."),
            field="host_devices",
            code="kernel_unavailable",
        )
    # in the order of their names, so that two who ask for the same wait for each other in turn
    rows = {
        one.name: one
        for one in HostDevice.objects.select_for_update()
        .filter(node_id=row.node_id, name__in=new)
        .order_by("name")
    }
    for name in new:
        _refuse_absent(row, rows.get(name), name)
        if not allowed(rows[name]).shared and any(
            key != row.pk and other == name for key, other in of_node(row.node_id)
        ):
            raise Conflict(
                _("Another environment has the device %(device)s.") % {"device": name},
                code="device_in_use",
                field="host_devices",
                next_step=_(
                    "It comes free when that gives it up, or when an administrator lets several have it."
                ),
            )


def _refuse_absent(row: Environment, listed: HostDevice | None, name: str) -> None:
    if listed is None:
        raise Conflict(
            _("Its node %(node)s has no device named %(device)s on its list.")
            % {"node": row.node, "device": name},
            code="device_unavailable",
            field="host_devices",
        )
    if not has(row.node, [name]):
        why = why_not(states(row.node).get(name)) or _("the node hasn't heard of it yet")
        raise Conflict(
            _("The device %(device)s can't be given: %(why)s.") % {"device": name, "why": why},
            code="device_unavailable",
            field="host_devices",
        )


def of_node(node_id: UUID) -> Iterator[tuple[UUID, str]]:
    """Who has what there."""
    rows = Environment.objects.living().filter(node=node_id, intent__host_devices__0__isnull=False)
    for key, given in rows.values_list("pk", "intent__host_devices"):
        for one in given:
            yield key, one["name"]


def offered(actor: Actor, row: Environment) -> list[answers.DeviceOfEnvironment]:
    """Those that it has, and those that could be given to it."""
    may_give = actor.can(Permission.SECURITY_MANAGE, row.tenant)
    has_now = {one.name: one.access.value for one in row.wanted.host_devices}
    told = states(row.node)
    found: list[answers.DeviceOfEnvironment] = []
    for listed in HostDevice.objects.filter(node=row.node_id).order_by("name"):
        against = why_no_device(row.plan_version, listed.name, may_give=may_give)
        if against and listed.name not in has_now:
            continue
        state = told.get(listed.name)
        found.append(
            {
                "name": listed.name,
                "inside": allowed(listed).shown_as,
                "access": has_now.get(listed.name, HIDDEN),
                "sort": (state or {}).get("sort"),
                "number": (state or {}).get("number", ""),
                "why_not": why_not(state) if state else _("the node hasn't heard of it yet"),
            }
        )
    return found

"""Devices of hosts that may be given to environments: an administrator's to allow, and to forbid again."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel.audit.services import record
from panel.contract_input import parse
from panel.environments.host_devices import of_node
from panel.errors import Conflict, Invalid, NotFound
from panel.fleet import answers, held_rows
from panel.nodes import host_devices
from panel.nodes.models import HostDevice, Node
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from runtime.contract import AllowedDevice
from runtime.contract.devices import MOST_ALLOWED

#: Directories of links that udev makes: what they lead to is known when it is plugged in.
_OF_UDEV = tuple(f"/dev/{one}/by-" for one in ("serial", "v4l", "input", "snd", "usb", "dvb"))


_THIS = gettext_lazy("This device")


def rows_of(actor: Actor) -> Sequence[HostDevice]:
    """With their nodes. `NotFound` to whoever sees no node."""
    return held_rows.rows_of(actor, HostDevice, _THIS)


def show(row: HostDevice) -> answers.HostDevice:
    one, state = host_devices.allowed(row), host_devices.states(row.node).get(row.name)
    return {
        "id": str(row.pk),
        "node": str(row.node_id),
        "node_name": row.node.name,
        "name": row.name,
        "path": one.path,
        "udev": list(one.udev),
        "inside": one.shown_as,
        "shared": one.shared,
        "sort": (state or {}).get("sort"),
        "number": (state or {}).get("number", ""),
        "refused": bool(state and state["refused"]),
        "why_not": host_devices.why_not(state) if state else "",
        "held": state is not None,
        "environments": sum(name == row.name for _key, name in of_node(row.node_id)),
    }


def seen_by(actor: Actor, node: Node) -> list[answers.SeenDevice]:
    """What of its host might be allowed. `NotFound` to whoever sees no node."""
    if not actor.can(Permission.NODE_VIEW):
        raise NotFound(_("This node"))
    return [
        {"path": one["path"], "sort": one["sort"], "number": one["number"], "udev": list(one["udev"])}
        for one in host_devices.seen(node)
    ]


def add_device(actor: Actor, node_id: UUID, **values: Any) -> HostDevice:
    """`values`: of `AllowedDevice`. Raises `Invalid`, also for what the node sees no device at that may be
    given; `Conflict` for a name, or a place inside, that is taken."""
    actor.require(Permission.NODE_MANAGE)
    one = _read(values)
    with transaction.atomic():
        node = held_rows.locked(node_id)
        there = list(HostDevice.objects.filter(node=node))
        _refuse(node, one, there)
        if len(there) >= MOST_ALLOWED:
            raise Conflict(_("A node has %(most)s devices on its list at most.") % {"most": MOST_ALLOWED})
        row = HostDevice(node=node, name=one.name, known_by=_kept(one))
        row.save(force_insert=True)
        host_devices.LIST.changed(node)
        record(actor, "host-device.allow", target=row, after=_audited(row))
    return row


def change_device(actor: Actor, device_id: UUID, changes: Mapping[str, Any]) -> HostDevice:
    """What isn't given stays; a path takes the place of what udev says, and the other way round. Who has it
    sees the change within some seconds."""
    with transaction.atomic():
        row = held_rows.found(actor, HostDevice, device_id, _THIS)
        node = held_rows.locked(row.node_id)
        before, known = _audited(row), dict(row.known_by)
        given = {name: value for name, value in changes.items() if value is not None}
        if given.get("path"):
            known["udev"] = []
        elif given.get("udev"):
            known["path"] = ""
        one = _read({**known, **given, "name": row.name})
        others = HostDevice.objects.filter(node=node).exclude(pk=row.pk)
        _refuse(node, one, others, is_new=one.path != row.known_by.get("path"))
        users = [key for key, name in of_node(node.pk) if name == row.name]
        if not one.shared and len(users) > 1:
            raise Conflict(
                _("Environments that have it: %(count)s.") % {"count": len(users)},
                code="in_use",
                field="shared",
            )
        row.known_by = _kept(one)
        if _audited(row) != before:
            row.save(update_fields=["known_by"])
            host_devices.LIST.changed(node)
            record(actor, "host-device.change", target=row, before=before, after=_audited(row))
    return row


def delete_device(actor: Actor, device_id: UUID) -> None:
    """Raises `Conflict` while an environment has it."""
    with transaction.atomic():
        row = held_rows.found(actor, HostDevice, device_id, _THIS)
        node = held_rows.locked(row.node_id)
        count = sum(name == row.name for _key, name in of_node(node.pk))
        if count:
            raise Conflict(
                _("Environments that have it: %(count)s.") % {"count": count},
                code="in_use",
                next_step=_("Take it away from them first."),
            )
        record(actor, "host-device.forbid", target=row, before=_audited(row))
        row.delete()
        host_devices.LIST.changed(node)


def _read(values: Mapping[str, Any]) -> AllowedDevice:
    """Raises `Invalid`."""
    if bool(values.get("path")) == bool(values.get("udev")):
        raise Invalid(
            _("A device is known by its path, or by what udev says of it: give one of the two."), field="path"
        )
    return parse(AllowedDevice, values)


def _refuse(
    node: Node, one: AllowedDevice, others: "Sequence[HostDevice] | Any", *, is_new: bool = True
) -> None:
    for other in others:
        if other.name == one.name:
            raise Conflict(_("There is a device named %(name)s already.") % {"name": one.name}, field="name")
        if host_devices.allowed(other).shown_as == one.shown_as:
            raise Conflict(
                _("%(other)s is shown as %(path)s inside.") % {"other": other.name, "path": one.shown_as},
                field="inside",
            )
    is_seen = any(seen["path"] == one.path for seen in host_devices.seen(node))
    if one.path and is_new and not is_seen and not one.path.startswith(_OF_UDEV):
        raise Invalid(
            _("%(node)s sees no device %(path)s that may be given.") % {"node": node.name, "path": one.path},
            field="path",
            code="not_a_device",
            next_step=_(
                "Disks, memory, terminals of the host and what changes it never may; its list has what may."
            ),
        )


def _kept(one: AllowedDevice) -> dict[str, Any]:
    return one.model_dump(mode="json", exclude={"name"})


def _audited(row: HostDevice) -> dict[str, Any]:
    one = host_devices.allowed(row)
    return {
        "node": row.node.name,
        "name": row.name,
        "path": one.path,
        "udev": ", ".join(one.udev),
        "inside": one.shown_as,
        "shared": one.shared,
    }

"""Jails as jls(8) lists them."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from panel.environments.models import Environment, Environments
from panel.environments.selectors import environments
from panel.environments.states import State
from panel.jails import answers
from panel.jails.meaning import Remark, Wanted
from panel.jails.models import BaseUpdate, JailNumber
from panel.jails.services import Imported
from panel.jails.template import Template
from panel.rights.actor import Actor
from runtime.contract import ENFORCE_STATFS, SECURE_LEVEL, Base, DesiredState, JailOptions, Kind


def rows_of(actor: Actor, filters: Mapping[str, Any] | None = None) -> Environments:
    """Living jails that the actor may see, by tenant and number."""
    found = environments(actor, filters).filter(kind=Kind.JAIL).select_related("jail_number")
    return found.order_by("tenant__slug", "jail_number__number", "name")


def thin_ones(actor: Actor) -> list[Environment]:
    """Jails that are of a base which others share."""
    return list(rows_of(actor).in_use().filter(intent__jail__base=Base.THIN))


def in_groups(foreseen: Iterable[answers.ForeseenJail]) -> list[dict[str, Any]]:
    """For whom the same would change, on one node."""
    groups: dict[tuple[str, str, str, bool], dict[str, Any]] = {}
    for one in foreseen:
        key = (one["node"], one["now"], one["newest"], one["is_known"])
        groups.setdefault(key, {"first": one, "names": []})["names"].append(one["name"])
    return list(groups.values())


def number_of(row: Environment) -> int:
    """Of a jail."""
    number: JailNumber = row.jail_number
    return number.number


def show(row: Environment, of_features: Mapping[str, Any]) -> answers.Jail:
    jail = row.wanted.jail or JailOptions()
    by_version = _by_version(of_features.get("addresses", ()))
    usage = getattr(row, "usage", None)
    return {
        "jid": number_of(row),
        "id": str(row.pk),
        "name": row.name,
        "hostname": row.name,
        "tenant": str(row.tenant_id),
        "tenant_slug": row.tenant.slug,
        "node": row.node.name,
        "state": row.state.value,
        "dying": row.desired_state == DesiredState.DELETED or row.state == State.TRASHED,
        "base": jail.base.value,
        "image": row.image,
        "ipv4_addrs": by_version[4],
        "ipv6_addrs": by_version[6],
        "allow": [word.value for word in jail.allow],
        "children_max": jail.children_max,
        "enforce_statfs": ENFORCE_STATFS,
        "securelevel": SECURE_LEVEL,
        "vnet": True,
        "processes": None if usage is None else usage.processes,
    }


def _by_version(addresses: Iterable[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {4: [], 6: []}
    for one in addresses:
        found[ip_address(one.partition("/")[0]).version].append(one)
    return found


def show_wanted(one: Wanted) -> answers.ImportedJail:
    return {
        "name": one.name,
        "line": one.line,
        "asked": {**one.values, **({"limits": one.limits} if one.limits else {})},
        "notes": [_shown(remark) for remark in one.notes],
        "left_out": [_shown(remark) for remark in one.left_out],
    }


def _shown(one: Remark) -> answers.Remark:
    return {"line": one.line, "parameter": one.parameter, "text": one.text}


def show_made(one: Imported) -> answers.MadeJail:
    row, operation = one.changed.environment, one.changed.operation
    assert operation is not None
    return {
        **show_wanted(one.wanted),
        "id": str(row.pk),
        "jid": number_of(row),
        "operation": str(operation.pk),
        "root_password": one.changed.root_password,
    }


def show_foreseen(row: Environment, seen: Mapping[str, Any] | None) -> answers.ForeseenJail:
    """`seen`: as its node said; None: it can't be asked."""
    empty = {"now": "", "newest": "", "before": "", "packages": [], "more_packages": 0, "settings": []}
    found = seen or {**empty, "files": {"added": 0, "removed": 0, "changed": 0}}
    return {
        "id": str(row.pk),
        "name": row.name,
        "node": row.node.name,
        "is_known": seen is not None,
        "now": found["now"],
        "newest": found["newest"],
        "before": found["before"],
        "packages": found["packages"],
        "more_packages": found["more_packages"],
        "files": found["files"],
        "settings": found["settings"],
    }


def show_update(row: BaseUpdate) -> answers.BaseUpdate:
    return {
        "id": str(row.pk),
        "tenant": str(row.tenant_id),
        "image": row.image,
        "command": row.command,
        "state": row.state,
        "goes_back_to": str(row.goes_back_to_id) if row.goes_back_to_id else None,
        "jails": row.after,
        "todo": row.todo,
        "problem": row.problem,
        "operation": str(row.operation_id),
        "created_at": row.operation.created_at.isoformat(),
    }


def show_template(found: Template) -> answers.Template:
    return {
        "steps": [{"line": one.line, "verb": one.verb, "command": one.command} for one in found.steps],
        "limits": found.limits,
        "forwards": [
            {"protocol": protocol, "node_port": node_port, "port": port}
            for protocol, node_port, port in found.forwards
        ],
        "tags": found.tags,
        "left_out": [_shown(remark) for remark in found.left_out],
    }

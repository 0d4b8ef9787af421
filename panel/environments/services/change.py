"""Changing what an environment has: limits, name, keys, options; live where it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from panel.accounts.ssh_key_text import check_ssh_keys
from panel.contract_input import parse_limits
from panel.environments import app_walls, host_devices, inputs, kinds, secret_values, systemd
from panel.environments.features import FEATURES
from panel.environments.models import Environment, EnvironmentUsage
from panel.environments.options import OPTIONS, by_restart, laid_over
from panel.environments.services.checks import (
    check_devices,
    check_opened,
    check_text,
    opened,
    plan_version,
    refuse_taken_name,
)
from panel.environments.services.intent import (
    Changed,
    change,
    locked,
    move_reservation,
    refuse_protected,
    refuse_stale,
)
from panel.environments.services.tags import replace_tags
from panel.environments.trash import refuse_trashed
from panel.errors import Conflict, Invalid
from panel.nodes import cpu_pools
from panel.nodes.matrix import why_not
from panel.operations.models import OperationKind
from panel.plans.models import PlanVersion
from panel.plans.rules import check_allowance, check_choices, newest, opens, refuse_opening, refuse_own_size
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from runtime.contract import DesiredState, Kernel, Kind, Limits, ObservedState, wants_of

_MIB = 2**20
_NEEDED = {
    "plan": Permission.ENVIRONMENT_RESIZE,
    "ssh_keys": Permission.ENVIRONMENT_CREDENTIALS,
    **{name: option.permission for name, option in OPTIONS.items()},
}


def update_environment(
    actor: Actor, environment_id: UUID, changes: Mapping[str, Any], *, version: int | None = None
) -> Changed:
    """Change what is given and leave the rest; live where the environment runs.

    Takes `name`, `description`, `tags`, `plan`, `follows_plan`, `ssh_keys`, and each of `OPTIONS` (in part,
    where it has parts). What makes no difference does nothing. A node that can't make it so (a disk smaller
    than what is on it) refuses, and the row goes back to what was. `version`: what the asker has read; `Stale`
    when it was changed since.
    """
    if changes and set(changes) <= {"tags"}:
        return _retag(actor, environment_id, changes["tags"] or [], version)

    left = ""

    def mutate(row: Environment) -> dict[str, Any]:
        nonlocal left
        was = row.plan_version, row.follows_plan
        details = lay_over(actor, row, changes)
        left = left_plan(*was, row)
        return {**details, "left_plan": left} if left else details

    changed = change(actor, environment_id, needed(changes)[0], OperationKind.UPDATE, mutate, version=version)
    return replace(changed, left_plan=left)


def left_plan(version: PlanVersion | None, followed: bool, row: Environment) -> str:
    """Slug of the plan that a changed row followed and follows no more; empty: there is none."""
    if version is None or not followed:
        return ""
    return "" if row.follows_plan and row.plan_version_id is not None else version.plan.slug


def _retag(actor: Actor, environment_id: UUID, tags: Sequence[str], version: int | None) -> Changed:
    """Words of the panel's own: they may be changed whatever becomes of the environment."""
    with transaction.atomic():
        environment = locked(actor, environment_id)
        actor.require(Permission.ENVIRONMENT_CHANGE, environment)
        refuse_stale(environment, version)
        refuse_trashed(environment)
        if replace_tags(actor, environment, tags):
            environment.version += 1
            environment.save(update_fields=["version"])
        return Changed(environment, None)


def needed(changes: Mapping[str, Any]) -> list[Permission]:
    """What it takes to change these; at least one."""
    found = {_NEEDED.get(key, Permission.ENVIRONMENT_CHANGE) for key in changes}
    return sorted(found) or [Permission.ENVIRONMENT_CHANGE]


def lay_over(actor: Actor, row: Environment, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Put the changes into a locked row's intent; what was asked for, for the operation."""
    for permission in needed(changes):
        actor.require(permission, row)
    if changes.get("name") is not None and changes["name"] != row.name:
        refuse_taken_name(row.tenant, inputs.check_name(changes["name"]))
        row.name = changes["name"]
    if changes.get("kernel") is not None and changes["kernel"] != row.kernel:
        _turn_dial(row, changes["kernel"])
    if "description" in changes:
        row.description = check_text(changes["description"] or "", "description")
    if changes.get("tags") is not None:
        replace_tags(actor, row, changes["tags"])
    if row.kind != Kind.APP:
        inputs.refuse_app(changes)
    kinds.refuse_options(row.kind, {name: changes[name] for name in OPTIONS if name in changes})
    if changes.get("ssh_keys") and not wants_of(Kind(row.kind)).boots:
        kinds.refuse_change(row.kind, OperationKind.CREDENTIALS)
    if row.kind != Kind.JAIL:
        inputs.refuse_jail(changes)
    inputs.refuse_boot_words(row.kernel, changes)
    inputs.refuse_signals(row.kernel, changes)
    changes = secret_values.take(row, changes)
    had, pool, started_with = row.wanted.all_devices, row.wanted.cpu_pool, by_restart(row.intent)
    was_opened = opened(row)
    of_host = row.wanted.host_device_names
    row.intent = laid_over(actor, row.tenant, row.intent, changes)
    undo = _resize_by(actor, row, changes)
    check_opened(actor, row, was_opened)
    app_walls.check(row)
    _refuse_pool(row, pool)
    if row.wanted.all_devices != had:
        _give_devices(actor, row, had)
    host_devices.check(actor, row, of_host)
    if by_restart(row.intent) != started_with and row.desired_state != DesiredState.STOPPED:
        actor.require(Permission.ENVIRONMENT_POWER, row)
        row.boots += 1
    if "ssh_keys" in changes and (keys := check_ssh_keys(changes["ssh_keys"] or [])) != row.ssh_keys:
        row.ssh_keys = keys
        row.credentials_revision += 1
    return {**{key: value for key, value in changes.items() if key != "ssh_keys"}, **undo}


def _turn_dial(row: Environment, wanted: str) -> None:
    """Another kernel for its next start. Raises `Conflict` while it runs, or where its node can't; `Invalid`
    for what its plan leaves out."""
    kernel = inputs.check_kernel(wanted)
    has_ended = row.observed_state in (ObservedState.STOPPED, ObservedState.FAILED)
    if row.desired_state != DesiredState.STOPPED or not has_ended:
        raise Conflict(
            _("The kernel of an environment is changed while it is stopped."),
            code="not_stopped",
            field="kernel",
            next_step=_("Stop it first."),
        )
    refuse_turn(row, kernel)
    row.kernel = kernel


def refuse_turn(row: Environment, kernel: Kernel) -> None:
    """`Conflict` or `Invalid` for a kernel that it can't have, as it is, whether it runs or not."""
    check_choices(row.plan_version, kind=row.kind, kernel=kernel, image=row.image)
    refuse_kernel(row, kernel)
    for feature in FEATURES:
        feature.refuse_kernel(row, kernel)


def refuse_kernel(row: Environment, kernel: Kernel) -> None:
    """`Conflict` for a kernel on which its node can't have this one, as it is."""
    reason = why_not(row.node.facts, Kind(row.kind), kernel, row.contract_limits().memory_mb)
    if kernel is not Kernel.SHARED and not reason and (row.wanted.devices or row.wanted.host_devices):
        reason = _("devices of the node are given to environments on the host's kernel only")
    reason = reason or systemd.why_not(row, kernel)
    if reason:
        raise Conflict(
            _("Its node %(node)s has no kernel %(kernel)s for it: %(why)s.")
            % {"node": row.node, "kernel": kernel, "why": reason},
            code="kernel_unavailable",
            field="kernel",
        )


def _give_devices(actor: Actor, row: Environment, had: Sequence[str]) -> None:
    """Raises a `Refused` for what its plan or its node hasn't. What it has, it has from its start on: it begins
    anew, so that what is taken away is gone as well."""
    check_devices(actor, row, had)
    lacking = sorted(set(row.wanted.all_devices) - set(row.node.facts.get("devices", ())))
    if lacking:
        raise Conflict(
            _("Its node %(node)s has no %(device)s.") % {"node": row.node, "device": lacking[0]},
            code="device_unavailable",
            field="devices",
        )


def _refuse_pool(row: Environment, had: str) -> None:
    """`Conflict` for another pool of processors than it had, which its node doesn't hold."""
    wanted = row.wanted.cpu_pool
    if wanted != had and not cpu_pools.has(row.node, wanted):
        raise Conflict(
            _("Its node %(node)s has no pool of processors named %(pool)s.")
            % {"node": row.node, "pool": wanted},
            code="no_such_pool",
            field="cpu_pool",
        )


def _resize_by(actor: Actor, row: Environment, changes: Mapping[str, Any]) -> dict[str, Any]:
    """`plan`, `limits`, both (the plan with limits of its own laid over it), or `follows_plan`. For the
    operation's details: how a smaller disk is undone."""
    limits = changes.get("limits") or {}
    undo: dict[str, Any] = {}
    if limits:
        refuse_own_size(row.tenant)
        if changes.get("follows_plan"):
            raise Invalid(
                _("One that follows its plan has the plan's size; give no limits."), field="follows_plan"
            )
    if changes.get("plan"):
        undo = take_version(row, plan_version(actor, row.tenant, changes["plan"]), limits, actor=actor)
        row.follows_plan = not limits and changes.get("follows_plan") is not False
    elif limits:
        undo = resize(row, parse_limits({**row.limits, **limits}), actor=actor)
        row.follows_plan = False
    elif changes.get("follows_plan") is not None:
        undo = _follow(actor, row, wanted=bool(changes["follows_plan"]))
    return undo


def _follow(actor: Actor, row: Environment, *, wanted: bool) -> dict[str, Any]:
    """Begin to follow the plan, with its newest version at once, or keep the version that it has."""
    undo: dict[str, Any] = {}
    if wanted:
        version = newest(row.plan_version.plan_id) if row.plan_version is not None else None
        if version is None:
            raise Invalid(_("It has no plan to follow; give one."), field="follows_plan")
        undo = take_version(row, version, actor=actor)
    row.follows_plan = wanted
    return undo


def take_version(
    row: Environment,
    version: PlanVersion,
    limits: Mapping[str, Any] | None = None,
    *,
    actor: Actor | None = None,
) -> dict[str, Any]:
    """Give a locked row this version of a plan, `limits` laid over its own. The caller saves.

    Raises `Refused` when kind, kernel, image, devices, addresses or forwards aren't in it, or what the plan
    before let its tenant open, or a quota has no room.
    """
    check_choices(
        version,
        kind=row.kind,
        kernel=row.kernel,
        image=row.image,
        devices=row.wanted.all_devices,
        host_devices=row.wanted.host_device_names,
    )
    refuse_opening(version, opened(row) & set(opens(row.plan_version)))
    for feature in FEATURES:
        for name, count in feature.counted(row).items():
            check_allowance(version, name, count)
    undo = resize(row, parse_limits({**version.limits, **(limits or {})}), actor=actor)
    row.plan_version = version
    row.plan_problem, row.plan_tried_at = "", None
    for feature in FEATURES:
        feature.plan_given(row)
    return undo


def resize(environment: Environment, wanted: Limits, *, actor: Actor | None = None) -> dict[str, Any]:
    """Reserve what is more, give back what is less; how a smaller disk is undone. `Conflict` when the disk
    would be below what is used."""
    now, undo = environment.contract_limits(), dict[str, Any]()
    _refuse_below_used(environment, wanted)
    if wanted.disk_mb < now.disk_mb:
        for feature in FEATURES:
            undo |= feature.shrunk(actor, environment)
    move_reservation(environment, now, wanted)
    environment.intent = {**environment.intent, "limits": wanted.model_dump(mode="json")}
    return undo


def _refuse_below_used(environment: Environment, wanted: Limits) -> None:
    """By the newest report; the node looks again and has the last word."""
    if wanted.disk_mb >= environment.contract_limits().disk_mb:
        return
    refuse_protected(environment)
    usage = EnvironmentUsage.objects.filter(environment=environment).first()
    if usage is not None and usage.disk_bytes > wanted.disk_mb * _MIB:
        used = -(-usage.disk_bytes // _MIB)
        raise Conflict(
            _("%(disk_mb)s MiB of disk is below the %(used)s MiB in use.")
            % {"disk_mb": wanted.disk_mb, "used": used},
            code="below_used",
            field="disk_mb",
            next_step=_("Delete files inside first, or ask for at least %(used)s MiB.") % {"used": used},
        )

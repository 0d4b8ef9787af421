"""A new environment: reserved, placed, leased its addresses, and asked for."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from panel import dispatch
from panel.accounts.ssh_key_text import check_ssh_keys
from panel.audit.services import record
from panel.environments import (
    app_walls,
    credentials,
    host_devices,
    inputs,
    kinds,
    placement,
    secret_values,
    systemd,
)
from panel.environments.features import FEATURES, Reserved
from panel.environments.models import Environment
from panel.environments.options import fresh, laid_over
from panel.environments.services.checks import (
    check_devices,
    check_opened,
    check_text,
    limits_for,
    refuse_taken_name,
)
from panel.environments.services.intent import (
    Changed,
    New,
    announce,
    audited,
    note_unsent,
    operation_for,
)
from panel.environments.services.tags import check_tags, give_tags
from panel.environments.specs import held_to, spec_of
from panel.errors import Conflict, Invalid
from panel.nodes.models import Node
from panel.operations import services as operations
from panel.operations.models import Operation, OperationKind
from panel.plans.rules import check_choices
from panel.quotas import services as quotas
from panel.quotas.models import Resource
from panel.quotas.refusals import counting_refusals
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from panel.tenants.selectors import locked_state, refuse_suspended
from runtime.contract import NO_IMAGE, Base, DesiredState, Kind, Limits, wants_of

#: What a new app is given beside its own options, and what that takes.
_OF_FEATURES = {"ports": Permission.FORWARD_CHANGE, "volumes": Permission.VOLUME_MANAGE}


def create_environment(
    actor: Actor,
    tenant: Tenant,
    *,
    name: str,
    image: str = "",
    limits: Mapping[str, Any] | None = None,
    plan: str = "",
    kind: str = "system",
    kernel: str = "shared",
    description: str = "",
    ssh_keys: Sequence[str] = (),
    root_password: str = "",
    ipv4: int | None = None,
    ipv6: int | None = None,
    tags: Sequence[str] = (),
    is_started: bool = True,
    features: Mapping[str, Any] | None = None,
    **options: Any,
) -> Changed:
    """Reserve, place and ask for a new environment; `options`: of `OPTIONS` what is asked for.

    `features`: what a feature on top asks for itself; with `node` (its key) it is made there and nowhere else.

    What isn't said, its kind says (`runtime.contract.kinds`). Without SSH key and password a root password is
    made, where it has accounts. A jail that begins empty is made stopped. Refusals change nothing: `Invalid`
    for a bad value, `QuotaExceeded`, `NoRoom`, `Conflict` for a taken name.
    """
    actor.require(Permission.ENVIRONMENT_CREATE, tenant)
    refuse_suspended(tenant)
    of_kind = inputs.check_kind(kind)
    inputs.refuse_boot_words(kernel, options)
    inputs.refuse_signals(kernel, options)
    image, options, of_features = _of_its_kind(of_kind, image, options)
    for part, permission in _OF_FEATURES.items():
        if of_features.get(part):
            actor.require(permission, tenant)
    _refuse_what_it_has_not(of_kind, accounts=bool(ssh_keys or root_password), addresses=bool(ipv4 or ipv6))
    version, wanted = limits_for(actor, tenant, of_kind, limits, plan)
    check_choices(version, kind=kind, kernel=kernel, image=image)
    # an empty one holds nothing to run yet, but as a copy of another
    starts = is_started and (image != NO_IMAGE or bool(features))
    environment = Environment(
        id=uuid.uuid4(),
        tenant=tenant,
        name=inputs.check_name(name),
        description=check_text(description, "description"),
        image=image,
        kind=of_kind,
        kernel=inputs.check_kernel(kernel),
        plan_version=version,
        follows_plan=version is not None and not limits,
        intent=fresh(wanted.model_dump()),
        ssh_keys=check_ssh_keys(ssh_keys),
        desired_state=DesiredState.RUNNING if starts else DesiredState.STOPPED,
        created_by=actor.user,
        credentials_revision=1,
    )
    environment.intent = laid_over(actor, tenant, environment.intent, secret_values.take(environment, options))
    app_walls.check(environment)
    check_devices(actor, environment)
    check_opened(actor, environment)
    systemd.refuse(environment, environment.kernel)
    words = check_tags(tags) if tags else []
    shown = set_password(environment, root_password) if wants_of(of_kind).has_accounts else None
    asked = {"ipv4": ipv4, "ipv6": ipv6, **of_features, **(features or {})}
    for feature in FEATURES:
        feature.check_asked(asked)
    with counting_refusals(), transaction.atomic():
        operation, reserved = _place_and_save(actor, environment, wanted, asked)
        if words:
            give_tags(environment, words)
    return Changed(environment, operation, shown, New(_united(one.shown for one in reserved), words))


def _of_its_kind(kind: Kind, image: str, options: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The image and the options as the kind has them, and what features make of the others."""
    kinds.refuse_options(kind, options)
    if not wants_of(kind).has_image:
        image = kinds.image_of(kind, image)
    image, options = inputs.check_jail(kind, image, options)
    image, options = inputs.check_app(kind, image, options)
    if kind is Kind.DIRECTORY:
        options = {**options, "directory": options.get("directory") or {}}
    return (image, *inputs.beside(options)) if kind is Kind.APP else (image, options, {})


def _refuse_what_it_has_not(kind: Kind, *, accounts: bool, addresses: bool) -> None:
    wants = wants_of(kind)
    if accounts and not wants.has_accounts:
        if kind is not Kind.APP:
            kinds.refuse_change(kind, OperationKind.CREDENTIALS)
        raise Invalid(_("An app has no accounts: leave ssh_keys and root_password out."), field="ssh_keys")
    if addresses and not wants.boots:
        kinds.refuse_change(kind, OperationKind.ADDRESSES)


def _united(each: Iterable[Mapping[Any, Any]]) -> dict[Any, Any]:
    return {key: value for one in each for key, value in one.items()}


def _place_and_save(
    actor: Actor, environment: Environment, limits: Limits, asked: Mapping[str, Any]
) -> tuple[Operation, list[Reserved]]:
    tenant = environment.tenant
    refuse_suspended(locked_state(tenant))
    refuse_taken_name(tenant, environment.name)
    priority = operations.admit(actor, tenant.pk)
    now = timezone.now()
    only = Node.objects.filter(pk=asked["node"]).first() if asked.get("node") else None
    choose = placement.choose if only is None else partial(placement.choose_on, only)
    node = choose(
        _candidates(environment, now),
        kind=inputs.check_kind(environment.kind),
        kernel=inputs.check_kernel(environment.kernel),
        image=environment.image,
        needs_image=_needs_image(environment, asked),
        devices=environment.wanted.all_devices,
        host_devices=environment.wanted.host_device_names,
        cpu_pool=environment.wanted.cpu_pool,
        limits=limits,
    )
    environment.node = node
    host_devices.check(actor, environment)
    reserved = [feature.reserve(environment, asked) for feature in FEATURES]
    amounts = quotas.amounts_of(limits)
    quotas.reserve(tenant, {**amounts, **_united(one.amounts for one in reserved)})
    placement.take(node, amounts[Resource.CPU], limits.memory_mb, limits.disk_mb)
    environment.slot = placement.free_slot(node)
    environment.sent_at, environment.send_attempts = now, 1
    for one in reserved:
        one.take()
    operation = operation_for(
        actor,
        environment,
        OperationKind.CREATE,
        details={"image": environment.image, "limits": environment.limits},
        before={"desired_state": DesiredState.DELETED},
    )
    environment.operation_id = operation.pk
    try:
        with transaction.atomic():
            environment.save(force_insert=True)
    except IntegrityError as error:
        refuse_taken_name(tenant, environment.name)
        raise Conflict(_("Another change got in between."), next_step=_("Try again.")) from error
    operation.save(force_insert=True)
    for one in reserved:
        one.save()
    record(
        actor,
        "environment.create",
        tenant_id=tenant.pk,
        target=environment,
        after={**audited(environment), **_united(one.audited for one in reserved)},
        operation_id=operation.pk,
    )
    dispatch.apply_on_commit(
        spec_of(environment, parts=[one.parts for one in reserved], envelope=held_to(tenant)),
        priority=priority,
        if_lost=lambda: note_unsent(environment),
    )
    announce(environment)
    return operation, reserved


def _needs_image(environment: Environment, asked: Mapping[str, Any]) -> bool:
    """For its root to be made of, or as what a thin jail shares of it."""
    jail = environment.wanted.jail
    shares = jail is not None and jail.base is Base.THIN
    return shares or not any(feature.brings_root(asked) for feature in FEATURES)


def _candidates(environment: Environment, now: datetime) -> list[placement.Candidate]:
    """All nodes; for a tenant that hands out more than its quota only where the rest of it is, since the
    kernel of one node can hold only what runs there."""
    found = placement.candidates_for(environment.image, now)
    tenant = environment.tenant
    if not quotas.is_overbooked(tenant):
        return found
    there = set(Environment.objects.living().filter(tenant=tenant).values_list("node_id", flat=True))
    return [one for one in found if not there or one.node.pk in there]


def set_password(environment: Environment, root_password: str) -> str | None:
    """Hash the given password, or make one when there is no other way in; what is to be shown."""
    if root_password:
        environment.root_password_hash = credentials.hash_password(credentials.check_password(root_password))
        return None
    if environment.ssh_keys:
        return None
    made = credentials.random_password()
    environment.root_password_hash = credentials.hash_password(made, is_random=True)
    return made

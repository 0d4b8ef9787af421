"""From a row to the contract's spec."""

from collections.abc import Iterable

from panel.environments.document import Intent
from panel.environments.features import FEATURES, Parts, merged
from panel.environments.models import Environment
from panel.plans.terms import TrafficAction
from panel.quotas.selectors import envelope_of
from panel.tenants.models import SuspendedHow, Tenant, TenantState
from runtime.contract import (
    AppOptions,
    Credentials,
    DesiredState,
    Device,
    EnvironmentSpec,
    Kernel,
    Kind,
    Limits,
    Network,
    TenantEnvelope,
)

#: Fields of the document that the node is told as they are.
_SENT = tuple(sorted(set(Intent.model_fields) & set(EnvironmentSpec.model_fields) - {"limits", "network"}))


def spec_of(
    environment: Environment,
    *,
    parts: Iterable[Parts] | None = None,
    envelope: TenantEnvelope | None = None,
) -> EnvironmentSpec:
    """What the node is told. Queries whatever isn't given; `tenant` and `node` should be selected.

    `parts`: the features', of whoever has them here. A suspended tenant's network is closed: a frozen
    environment's kernel would still answer.
    """
    wanted = environment.wanted
    own = {**environment.intent["network"], "closed": environment.tenant.state == TenantState.SUSPENDED}
    given = parts if parts is not None else (one.parts(environment) for one in FEATURES)
    of_features = merged(given, own)
    tenant = environment.tenant
    if environment.stop_within_s is not None:
        wanted = wanted.model_copy(update={"stop_timeout_s": environment.stop_within_s})
    if envelope is None:
        envelope = envelope_of(tenant.chain)
    return EnvironmentSpec(
        id=environment.pk,
        tenant_id=environment.tenant_id,
        node=environment.node.name,
        name=environment.name,
        generation=environment.generation,
        kind=Kind(environment.kind),
        kernel=Kernel(environment.kernel),
        image=environment.image,
        desired=desired_of(environment, tenant),
        slot=environment.slot or 0,
        limits=limits_of(environment, wanted.limits),
        envelope=envelope,
        network=Network.model_validate(of_features.pop("network")),
        credentials=Credentials(
            revision=environment.credentials_revision,
            ssh_keys=tuple(environment.ssh_keys),
            root_password_hash=environment.root_password_hash or None,
        ),
        boots=environment.boots,
        installs=environment.installs,
        keep_old_root=environment.keep_old_root,
        operation_id=environment.operation_id,
        app=AppOptions.model_validate(environment.app) if environment.app is not None else None,
        **{name: getattr(wanted, name) for name in _SENT},
        **of_features,
    )


def limits_of(environment: Environment, limits: Limits) -> Limits:
    """Those that are wanted; slower while this month's traffic is used up and the plan says so."""
    version = environment.plan_version if environment.traffic_state == TrafficAction.SLOW else None
    if version is None:
        return limits
    slow = version.parsed_allowances.traffic_slow_bit_s
    return limits.model_copy(
        update={
            "network_in_bit_s": min(limits.network_in_bit_s or slow, slow),
            "network_out_bit_s": min(limits.network_out_bit_s or slow, slow),
        }
    )


def desired_of(environment: Environment, tenant: Tenant) -> DesiredState:
    """A suspended tenant's environments are stopped or frozen, whatever was wanted of them."""
    desired = DesiredState(environment.desired_state)
    if environment.traffic_state == TrafficAction.SUSPEND and desired is not DesiredState.DELETED:
        return DesiredState.STOPPED
    if tenant.state != TenantState.SUSPENDED or desired in (DesiredState.DELETED, DesiredState.STOPPED):
        return desired
    # a process that waits for an answer of its own file system can't be frozen, and its owner decides how long
    may_freeze = tenant.suspended_how == SuspendedHow.FREEZE and Device.FUSE not in environment.wanted.devices
    return DesiredState.PAUSED if may_freeze else DesiredState.STOPPED

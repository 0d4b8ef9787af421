"""From a row to the contract's spec."""

from collections.abc import Iterable, Mapping
from typing import Any

from panel.environments.document import Intent
from panel.environments.features import FEATURES, Parts, merged
from panel.environments.models import Environment
from panel.environments.secret_values import values_of
from panel.nodes.sealed import key_of
from panel.plans.terms import TrafficAction
from panel.quotas.selectors import envelope_of
from panel.registries.selectors import access_of
from panel.tenants.models import Tenant, TenantState
from runtime.contract import (
    APP_IMAGE,
    AppOptions,
    Credentials,
    DesiredState,
    EnvironmentSpec,
    Kernel,
    Kind,
    Limits,
    Locked,
    Network,
    Origin,
    Rescue,
    Suspension,
    TenantEnvelope,
    lock_secrets,
)

#: An image may come from far, and is then unpacked.
DEADLINE_S, APP_DEADLINE_S = 300.0, 1800.0
#: All that a backup holds comes from elsewhere first.
RESTORE_DEADLINE_S = 3600.0
#: Fields of the document that the node is told as they are.
_SENT = tuple(
    sorted(set(Intent.model_fields) & set(EnvironmentSpec.model_fields) - {"limits", "network", "app"})
)


def spec_of(
    environment: Environment,
    *,
    parts: Iterable[Parts] | None = None,
    envelope: TenantEnvelope | None = None,
) -> EnvironmentSpec:
    """What the node is told. Queries whatever isn't given; `tenant` and `node` should be selected.

    `parts`: the features', of whoever has them here. What a suspension makes of it, the node knows.
    """
    wanted = environment.wanted
    own = environment.intent["network"]
    given = parts if parts is not None else (one.parts(environment) for one in FEATURES)
    of_features = merged(given, own)
    tenant = environment.tenant
    if environment.stop_within_s is not None:
        wanted = wanted.model_copy(update={"stop_timeout_s": environment.stop_within_s})
    if envelope is None:
        envelope = held_to(tenant)
    return EnvironmentSpec(
        id=environment.pk,
        tenant_id=environment.tenant_id,
        node=environment.node.name,
        name=environment.name,
        generation=environment.generation,
        kind=Kind(environment.kind),
        kernel=Kernel(environment.kernel),
        image=APP_IMAGE if wanted.app is not None else environment.image,
        desired=desired_of(environment),
        slot=environment.slot or 0,
        limits=limits_of(environment, wanted.limits),
        envelope=envelope,
        network=_network_of(wanted, of_features.pop("network")),
        credentials=Credentials(
            revision=environment.credentials_revision,
            ssh_keys=tuple(environment.ssh_keys),
            root_password_hash=environment.root_password_hash or None,
        ),
        boots=environment.boots,
        installs=environment.installs,
        keep_old_root=environment.keep_old_root,
        operation_id=environment.operation_id,
        deadline_s=_deadline_s(wanted, of_features.get("origin")),
        app=_app_of(environment, wanted),
        **{name: getattr(wanted, name) for name in _SENT},
        **of_features,
    )


def _network_of(wanted: Intent, known: Mapping[str, Any]) -> Network:
    is_closed = known.get("closed", False) or wanted.rescue is Rescue.OFFLINE
    return Network.model_validate({**known, "closed": is_closed})


def _deadline_s(wanted: Intent, origin: Origin | None) -> float:
    if origin is not None and origin.backup is not None:
        return RESTORE_DEADLINE_S
    return DEADLINE_S if wanted.app is None else APP_DEADLINE_S


def _app_of(environment: Environment, wanted: Intent) -> AppOptions | None:
    """With how its registry is asked for this tenant, as it is now. One query, for an app alone."""
    if wanted.app is None:
        return None
    registry = access_of(environment.tenant, environment.image)
    locked = _locked(environment) if wanted.app.secrets else None
    return AppOptions(image=environment.image, registry=registry, locked=locked, **wanted.app.model_dump())


def _locked(environment: Environment) -> Locked | None:
    """Its secrets, for its node alone. None, which the node refuses by name, for one whose key is gone."""
    try:
        return lock_secrets(values_of(environment), environment.pk, key=key_of(environment.node.name))
    except ValueError:
        return None


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


def held_to(tenant: Tenant) -> TenantEnvelope:
    """What nodes hold all environments of the tenant to, together."""
    is_suspended = tenant.state == TenantState.SUSPENDED
    suspended = Suspension(tenant.suspended_how) if is_suspended else None
    more = {"revision": tenant.held_revision, "suspended": suspended}
    return envelope_of(tenant.chain).model_copy(update=more)


def desired_of(environment: Environment) -> DesiredState:
    """Stopped, whatever was wanted of it, while its traffic is used up and its plan says so."""
    desired = DesiredState(environment.desired_state)
    if environment.traffic_state == TrafficAction.SUSPEND and desired is not DesiredState.DELETED:
        return DesiredState.STOPPED
    return desired

"""What stands on top of environments plugs in here: each app registers its `Feature` when it is ready.

Environments know none of them by name. Whoever asks goes through `FEATURES`, in the order of installed apps.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet
from django.utils.functional import Promise

from panel.quotas.models import Resource
from panel.rights.permissions import Permission
from panel.states import Shown
from runtime.contract import EnvironmentSpec, Kernel, Report

if TYPE_CHECKING:  # its querysets ask the features
    from panel.environments.models import Environment
    from panel.rights.actor import Actor
    from panel.tenants.models import Tenant

#: Fields of `runtime.contract.EnvironmentSpec`; of its `network` the fields of that.
Parts = Mapping[str, Any]
PointKind = Literal["snapshot", "backup"]


@dataclass(frozen=True)
class Tab:
    """One page among those of an environment."""

    name: str
    """Its address is named `environment-<name>`."""
    label: Promise | str
    place: int
    """The lowest comes first; the environment's own are 0 (overview), 40 (activity) and 50 (settings)."""
    permission: Permission | None = None
    """Who lacks it sees no such tab; None: whoever sees the environment."""
    needs_boot: bool = False
    """Only of kinds that have a first process, see `runtime.contract.kinds`."""


@dataclass(frozen=True)
class Point:
    """A disk as it was at one moment, which can be gone back to."""

    kind: PointKind
    id: UUID
    at: datetime
    name: str
    reason: str
    """Why it is there, as the API says it."""
    why: str
    """The same in words."""
    state: Shown
    url: str
    """Where it stands among pages."""
    goes_at: datetime | None = None
    """When it is deleted by itself; None: that isn't known, or never."""
    seal: Shown | None = None
    """Whether a system that was made of it started; None: nobody asks that of it."""


@dataclass(frozen=True)
class Points:
    newest: "Sequence[Point]" = ()
    """No more than were asked for, the newest first."""
    count: int = 0
    """Of all that there are."""


def newest_points(
    kind: PointKind, rows: "QuerySet[Any]", most: int, since: datetime | None, *, page: str, goes_at: str
) -> Points:
    """Of rows that have `created_at`, `name`, `reason`, `state`, perhaps a `seal`, and at `goes_at` when each
    goes; they stand on that page."""
    rows = rows.order_by("-created_at", "-pk")
    if since is not None:
        rows = rows.filter(created_at__gte=since)
    found = [
        Point(
            kind=kind,
            id=one.pk,
            at=one.created_at,
            name=one.name,
            reason=one.reason,
            why=one.get_reason_display(),
            state=one.state,
            url=f"{page}#{kind}-{one.pk}",
            goes_at=getattr(one, goes_at),
            seal=getattr(one, "seal", None),
        )
        for one in rows[:most]
    ]
    return Points(found, rows.count() if len(found) == most else len(found))


class Reserved:
    """What a feature holds for an environment that is being made. A verb that isn't given does nothing."""

    amounts: Mapping[Resource, int] = {}
    """Taken from the quota before `take`."""
    parts: Parts = {}
    """Its part of the spec; whoever has it here spares the spec a query."""
    shown: Mapping[str, Any] = {}
    """Its fields of the API's answer."""
    audited: Mapping[str, Any] = {}

    def take(self) -> None:
        """The node is chosen and its row locked: what is taken of it one by one."""

    def save(self) -> None:
        """The environment's row is there."""


class Feature:
    """Each verb has an answer for who has nothing to say: nothing is reserved, added, shown or found."""

    tabs: Sequence[Tab] = ()

    def brings_root(self, asked: Mapping[str, Any]) -> bool:
        """Whether a new environment has its disk from here, and needs no image for it."""
        return False

    def reserve(self, environment: "Environment", asked: Mapping[str, Any]) -> Reserved:
        """For a new environment whose node is chosen and whose row isn't saved yet. Raises a `Refused`.

        `asked`: what was asked for beside the environment's own options, as `ipv4`.
        """
        return Reserved()

    def check_asked(self, asked: Mapping[str, Any]) -> None:
        """Raises `Invalid` for what can't be asked for, before anything is looked up."""

    def parts(self, environment: "Environment") -> Parts:
        """Its part of the spec, looked up."""
        return {}

    def counted(self, environment: "Environment") -> Mapping[str, int]:
        """What it has of that which plans allow a number of (`panel.plans.terms.Allowances`)."""
        return {}

    def refuse_kernel(self, environment: "Environment", kernel: Kernel) -> None:
        """Raises `Conflict` for a kernel that can't have what a locked row has of it."""

    def plan_given(self, environment: "Environment") -> None:
        """A locked row got another version of a plan; what follows from it goes into the row."""

    def reported(self, environment: "Environment", report: Report) -> None:
        """A newer report was taken in, within its transaction; the row is locked."""

    def asked_again(
        self, actor: "Actor", environment: "Environment", kind: str, details: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """An operation of that kind failed and is tried once more; the row is locked. What is asked for of the
        feature is written down anew; the details of the new operation, laid over the old ones'."""
        return {}

    def replaced(self, actor: "Actor", environment: "Environment") -> Mapping[str, Any]:
        """A locked row gets a fresh root with its next change: what there is to go back to, for the operation's
        details."""
        return {}

    def shrunk(self, actor: "Actor | None", environment: "Environment") -> Mapping[str, Any]:
        """A locked row gets a smaller disk with its next change: what there is to go back to, as in
        `replaced`. `actor`: None where a plan that it follows brings that."""
        return {}

    def trashed(self, environment: "Environment") -> Mapping[Resource, int]:
        """It rests in the trash: lets go what somebody else may have meanwhile, and notes in the row's `trash`
        what it takes to get it back; what goes back to the quota. The row is locked; the caller saves it."""
        return {}

    def brought_back(self, environment: "Environment") -> Mapping[str, Any]:
        """Out of the trash: takes again what `trashed` let go, as far as it is free, its quota included. What
        is not as it was, for the operation's details."""
        return {}

    def adopted(self, environment: "Environment", spec: EnvironmentSpec) -> None:
        """A saved row was made as its node has it, whose spec is newer: rows of what of it is the feature's.
        Sums are counted anew by the caller."""

    def gone(self, environment: "Environment") -> Mapping[Resource, int]:
        """Nothing is left on the node: lets go what it had; what goes back to the quota."""
        return {}

    def emptied(self, tenant: "Tenant") -> bool:
        """A tenant is being deleted, and has no environment any more: has the nodes take away what it has
        beside them. Whether nothing is left; asked again until it is so."""
        return True

    def swept(self) -> None:
        """Every half minute: what has rested long enough is free again."""

    def shown(self, ids: Sequence[UUID]) -> Mapping[UUID, Mapping[str, Any]]:
        """Its fields of the API's answer about each; a fixed number of queries."""
        return {}

    def shown_alone(self, environment: "Environment") -> Mapping[str, Any]:
        """Its fields of the answer about this one alone."""
        return {}

    def overview(self, environment: "Environment", query: Mapping[str, str]) -> Mapping[str, Any]:
        """For the template of the overview; `query`: of its address."""
        return {}

    def points(self, environment: "Environment", most: int, since: datetime | None = None) -> Points:
        """The newest `most` of what its disk can go back to, of that moment or later (None: of all)."""
        return Points()

    def prefetched(self) -> "Sequence[Prefetch[Any] | str]":
        """What pages show of each environment in a list."""
        return ()

    def found_by(self, text: str) -> Q | None:
        """Environments that this text finds, beside those that have it in their name; None: none."""
        return None

    def held(self) -> Iterator[tuple[UUID, Resource, int]]:
        """What it holds of the quotas, by tenant, counted from its own rows: for the consistency check."""
        return iter(())

    def placed(self) -> Iterator[tuple[UUID, int]]:
        """MiB of disk that it has on nodes, by node, beside environments' own: for the consistency check."""
        return iter(())

    def examine(self, living: Sequence["Environment"]) -> Iterator[str]:
        """A sentence for each thing that doesn't add up."""
        return iter(())


FEATURES: list[Feature] = []


def plugs_in(feature: Feature) -> None:
    """For an app's `ready()`."""
    FEATURES.append(feature)


def merged(parts: Iterable[Parts], network: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of all features, laid over an environment's own `network`."""
    found: dict[str, Any] = {"network": dict(network)}
    for one in parts:
        for name, value in one.items():
            if name == "network":
                found["network"].update(value)
            else:
                found[name] = value
    return found


def shown_of(ids: Sequence[UUID]) -> Callable[[UUID], dict[str, Any]]:
    """The features' fields of the answers about these environments."""
    each = [feature.shown(ids) for feature in FEATURES]
    return lambda pk: {key: value for fields in each for key, value in fields.get(pk, {}).items()}


def found_by_features(text: str) -> Q:
    """Environments that a feature finds by this text."""
    found = Q(pk__in=[])
    for feature in FEATURES:
        condition = feature.found_by(text)
        if condition is not None:
            found |= condition
    return found


def tabs_for(can: Callable[[Permission], bool], own: Sequence[Tab], *, boots: bool = True) -> list[Tab]:
    """The environment's own and the features', in their order, as far as they may be seen."""
    every = [*own, *(tab for feature in FEATURES for tab in feature.tabs)]
    seen = [tab for tab in every if tab.permission is None or can(tab.permission)]
    seen = [tab for tab in seen if boots or not tab.needs_boot]
    return sorted(seen, key=lambda tab: tab.place)

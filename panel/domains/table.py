"""What the front's router goes by: one file, which a worker writes whenever it would say otherwise."""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.utils.translation import gettext_noop

from panel.circuit_breaker import BROKER
from panel.domains.models import Domain, DomainState, DomainTarget
from panel.environments.models import Environment
from panel.environments.states import Healthiness
from panel.networks.feature import addresses_of
from panel.queue import app
from panel.tenants.models import Tenant, TenantState
from runtime.contract import DesiredState, ObservedState
from runtime.contract.domain import TABLE, Balance, DomainRoute, DomainTable, Upstream

log = structlog.get_logger()

#: For visitors, who speak any language.
SUSPENDED = gettext_noop("This site is suspended.")
AWAY = gettext_noop("What is behind this name doesn't run right now.")
#: One message is enough for all changes until it is worked on.
_ASKED, _ASKED_FOR_S = "domains-table-asked", 10


def write_soon() -> None:
    """After the running transaction commits, a worker writes it; the beat does where that message is lost."""
    transaction.on_commit(_ask, robust=True)


def _ask() -> None:
    if BROKER.hangs:
        return
    try:
        if cache.add(_ASKED, 1, _ASKED_FOR_S):
            app.send_task("panel.domains", retry=False)
    except Exception as error:  # Redis is away: the beat does it
        log.warning("domains not written at once", error=type(error).__name__)


def write() -> bool:
    """Writes the file where it says otherwise; whether it did. A no-op without a front for domains.

    Once this has returned, no request goes by what was before.
    """
    with suppress(Exception):
        cache.delete(_ASKED)
    file = settings.WADAH.home / TABLE
    if not file.parent.is_dir():
        return False
    with _alone(file.parent):
        text = DomainTable(routes=routes()).model_dump_json(exclude_defaults=True)
        with suppress(OSError):
            if file.read_text() == text:
                return False
        _put(file, text)
    return True


def routes() -> dict[str, DomainRoute]:
    """Of all names that are proved; a fixed number of queries."""
    rows = list(Domain.objects.exclude(proved_at=None).select_related("tenant").prefetch_related("targets"))
    targets = [one for row in rows for one in row.targets.all()]
    ids = {one.environment_id for one in targets}
    environments = Environment.objects.in_use().in_bulk(ids) if ids else {}
    addresses = addresses_of(ids)
    shut = _suspended()
    found = {}
    for row in rows:
        upstreams = _upstreams(list(row.targets.all()), environments, addresses)
        found[row.name] = DomainRoute(
            closed=closed_because(row, upstreams, is_suspended=row.tenant_id in shut),
            https=row.https,
            redirect_to=row.redirect_to,
            users=row.users,
            balance=Balance(row.balance),
            health_path=row.health_path,
            upstreams=upstreams,
            is_held=not upstreams and any(one.is_drained for one in row.targets.all()),
        )
    return found


def closed_because(row: Domain, upstreams: Sequence[Upstream], *, is_suspended: bool) -> str:
    """Empty: it is served."""
    if is_suspended:
        return SUSPENDED
    return "" if upstreams or row.redirect_to else AWAY


def state_of(row: Domain) -> DomainState:
    """As visitors find it. A few queries."""
    if row.proved_at is None:
        return DomainState.UNPROVED
    targets = list(row.targets.all())
    ids = {one.environment_id for one in targets}
    upstreams = _upstreams(targets, Environment.objects.in_use().in_bulk(ids), addresses_of(ids))
    is_suspended = row.tenant.state == TenantState.SUSPENDED
    return (
        DomainState.CLOSED if closed_because(row, upstreams, is_suspended=is_suspended) else DomainState.SERVED
    )


def _suspended() -> set[UUID]:
    return set(Tenant.objects.filter(state=TenantState.SUSPENDED).values_list("pk", flat=True))


def _upstreams(
    targets: Sequence[DomainTarget],
    environments: Mapping[UUID, Environment],
    addresses: Mapping[UUID, list[str]],
) -> tuple[Upstream, ...]:
    """Of those that run; without those that say they are ill, unless all do."""
    running = [
        (one, environment)
        for one in targets
        if not one.is_drained
        and (environment := environments.get(one.environment_id)) is not None
        and environment.desired_state == DesiredState.RUNNING
        and environment.observed_state == ObservedState.RUNNING
        and addresses.get(environment.pk)
    ]
    well = [pair for pair in running if pair[1].healthiness is not Healthiness.UNHEALTHY] or running
    return tuple(
        Upstream.model_validate({"address": addresses[environment.pk][0], "port": one.port})
        for one, environment in well
    )


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Else an older state could be put over a newer one."""
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _put(file: Path, text: str) -> None:
    fd, name = tempfile.mkstemp(prefix=".new.", dir=file.parent)
    try:
        with os.fdopen(fd, "w") as opened:
            opened.write(text)
            os.fchmod(opened.fileno(), 0o640)  # its group is the directory's: the front's
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

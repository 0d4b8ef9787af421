"""Asks apps how they are, in turn (`Turns`), each within a deadline, and says what follows."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import structlog

from runtime import health
from runtime.agent.turns import Turn, Turns
from runtime.contract import DesiredState, EnvironmentSpec, HealthAction, HealthCheck, HealthSeen, HealthState
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.events import note_health
from runtime.node import Node
from runtime.probes import Answer, ask
from runtime.sandboxes import SandboxState
from runtime.state import Records, State

log = structlog.get_logger()

#: Checks of one tenant at once: what they cost the host is bounded by that.
MOST_OF_A_TENANT = 4
#: While it is starting it is asked so often, or as often as it says.
STARTING_EVERY_S = 5.0
#: After its start until it is asked first.
_FIRST_S = 1.0

Ask = Callable[[Node, EnvironmentSpec, HealthCheck], Answer]


@dataclass(kw_only=True)
class _Asked(Turn):
    """One app, from a start to its end."""

    spec: EnvironmentSpec
    check: HealthCheck
    started_at: float
    seen: HealthSeen
    failed: int = 0
    """Checks in a row that count."""
    since: float = field(default_factory=time.monotonic)
    """When it was seen first: what is left of its start is no matter of the wall clock."""

    def heard(self, answer: Answer) -> bool:
        """Whether it is another than it was."""
        was = self.seen.state
        if answer.is_well:
            self.failed, now = 0, HealthState.HEALTHY
        elif was is HealthState.STARTING and time.monotonic() - self.since < self.check.start_period_s:
            now = was
        else:
            self.failed += 1
            now = HealthState.UNHEALTHY if self.failed >= self.check.retries else was
        if now is not was:
            self.seen = HealthSeen(state=now, since=datetime.now(UTC), output=answer.said)
        return now is not was

    @property
    def rests_s(self) -> float:
        is_starting = self.seen.state is HealthState.STARTING
        return min(self.check.interval_s, STARTING_EVERY_S) if is_starting else self.check.interval_s


class HealthWatch:
    """`again` is called, by any thread, with one that was ended for it and the seconds until its start."""

    def __init__(
        self,
        node: Node,
        engine: Callable[[], Engine],
        again: Callable[[UUID, float], None],
        ask: Ask = ask,
    ):
        self.node, self.engine, self.again, self.ask = node, engine, again, ask
        self._turns = Turns[_Asked]("health", MOST_OF_A_TENANT, self._do)
        self.start, self.close = self._turns.start, self._turns.close

    # whom to ask ---------------------------------------------------------------------------------

    def look(self, records: Records) -> None:
        """Any thread: an environment may have begun, changed or ended. Cheap where it isn't an app."""
        spec = records.wanted()
        if spec is None or spec.app is None:
            return
        spec = records.standing() or spec
        state = records.state()
        check = self._check_of(spec, state)
        with self._turns.lock:
            known = self._turns.get(spec.id)
            if check is None or state.started_at is None:
                self._turns.drop(spec.id)
            elif known is not None and known.started_at == state.started_at and known.check == check:
                known.spec = spec
            else:
                seen = health.noted(self.node, spec.id, state.started_at)
                is_same = known is not None and known.started_at == state.started_at
                asked = _Asked(
                    tenant_id=spec.tenant_id,
                    since=known.since if known is not None and is_same else time.monotonic(),
                    due=time.monotonic() + _FIRST_S,
                    spec=spec,
                    check=check,
                    started_at=state.started_at,
                    seen=seen,
                )
                self._turns.put(spec.id, asked)

    def _check_of(self, spec: EnvironmentSpec, state: State) -> HealthCheck | None:
        if spec.desired is not DesiredState.RUNNING or state.started_at is None or state.restart_at is not None:
            return None
        engine = self.engine()
        if not engine.sandbox.is_there(spec.id):
            return None
        return engine.tools.kind(spec.kind).health(self.node, spec)

    def _do(self, one: _Asked) -> float:
        try:
            self._check(one)
        except RuntimeFault as ended:
            log.info("not asked", environment=str(one.spec.id), why=str(ended))
        except Exception:  # the edge: one app's trouble is no other's
            log.exception("health check failed", environment=str(one.spec.id))
        return one.rests_s

    # what was heard ------------------------------------------------------------------------------

    def _check(self, one: _Asked) -> None:
        engine, spec = self.engine(), one.spec
        if engine.sandbox.look(spec.id).state is not SandboxState.RUNNING:
            return  # frozen, or gone: that is told by itself
        answer = self.ask(self.node, spec, one.check)
        with self._turns.lock:
            if not self._turns.has(spec.id, one) or not one.heard(answer):
                return
        health.note(self.node, spec.id, one.started_at, one.seen)
        note_health(Records(self.node, spec.id), engine.reports, one.seen, one.failed)
        is_ill = one.seen.state is HealthState.UNHEALTHY
        if is_ill and one.check.action is HealthAction.RESTART:
            delay = engine.end_unhealthy(spec.id, one.started_at)
            if delay is not None:
                self.again(spec.id, delay)

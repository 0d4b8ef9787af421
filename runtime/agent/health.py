"""Asks apps how they are, in turn, and says what follows.

Each check is a thread of its own with a deadline, so that one that hangs holds up no other app's; one at a time
for an environment, and few for a tenant. Where no app has a check, nothing is done at all.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import structlog

from runtime import health
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
#: After its start until it is asked first, and until one whose turn had no place is asked again.
_FIRST_S, _AGAIN_S = 1.0, 0.5

Ask = Callable[[Node, EnvironmentSpec, HealthCheck], Answer]


@dataclass
class _Asked:
    """One app, from a start to its end."""

    spec: EnvironmentSpec
    check: HealthCheck
    started_at: float
    seen: HealthSeen
    due: float
    """By the monotonic clock."""
    failed: int = 0
    """Checks in a row that count."""
    is_busy: bool = False

    def heard(self, answer: Answer) -> bool:
        """Whether it is another than it was."""
        was = self.seen.state
        if answer.is_well:
            self.failed, now = 0, HealthState.HEALTHY
        elif was is HealthState.STARTING and time.time() - self.started_at < self.check.start_period_s:
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


@dataclass
class HealthWatch:
    """`again` is called, by any thread, with one that was ended for it and the seconds until its start."""

    node: Node
    engine: Callable[[], Engine]
    again: Callable[[UUID, float], None]
    ask: Ask = ask
    _asked: dict[UUID, _Asked] = field(default_factory=dict)
    _at_once: Counter[UUID] = field(default_factory=Counter)
    """Checks that are under way, by tenant."""
    _turn: threading.Condition = field(default_factory=threading.Condition)
    _is_over: bool = False

    def start(self) -> None:
        threading.Thread(target=self._go, name="health", daemon=True).start()

    def close(self) -> None:
        with self._turn:
            self._is_over = True
            self._turn.notify()

    # whom to ask ---------------------------------------------------------------------------------

    def look(self, records: Records) -> None:
        """Any thread: an environment may have begun, changed or ended. Cheap where it isn't an app."""
        spec = records.wanted()
        if spec is None or spec.app is None:
            return
        spec = records.standing() or spec
        state = records.state()
        check = self._check_of(spec, state)
        with self._turn:
            known = self._asked.get(spec.id)
            if check is None or state.started_at is None:
                self._asked.pop(spec.id, None)
            elif known is not None and known.started_at == state.started_at and known.check == check:
                known.spec = spec
            else:
                seen = health.noted(self.node, spec.id, state.started_at)
                due = time.monotonic() + _FIRST_S
                self._asked[spec.id] = _Asked(spec, check, state.started_at, seen, due)
                self._turn.notify()

    def _check_of(self, spec: EnvironmentSpec, state: State) -> HealthCheck | None:
        if spec.desired is not DesiredState.RUNNING or state.started_at is None or state.restart_at is not None:
            return None
        engine = self.engine()
        if not engine.sandbox.is_there(spec.id):
            return None
        return engine.tools.kind(spec.kind).health(self.node, spec)

    # when ----------------------------------------------------------------------------------------

    def _go(self) -> None:
        while not self._is_over:
            with self._turn:
                now = time.monotonic()
                for one in self._asked.values():
                    if not one.is_busy and one.due <= now:
                        self._begin(one, now)
                waiting = [one.due for one in self._asked.values() if not one.is_busy]
                self._turn.wait(max(0.05, min(waiting) - now) if waiting else None)

    def _begin(self, one: _Asked, now: float) -> None:
        tenant = one.spec.tenant_id
        if self._at_once[tenant] >= MOST_OF_A_TENANT:
            one.due = now + _AGAIN_S
            return
        one.is_busy = True
        self._at_once[tenant] += 1
        threading.Thread(target=self._do, args=(one,), name="health check", daemon=True).start()

    def _do(self, one: _Asked) -> None:
        try:
            self._check(one)
        except RuntimeFault as ended:
            log.info("not asked", environment=str(one.spec.id), why=str(ended))
        except Exception:  # the edge: one app's trouble is no other's
            log.exception("health check failed", environment=str(one.spec.id))
        finally:
            with self._turn:
                one.is_busy = False
                one.due = time.monotonic() + one.rests_s
                tenant = one.spec.tenant_id
                self._at_once[tenant] -= 1
                if not self._at_once[tenant]:
                    del self._at_once[tenant]
                self._turn.notify()

    # what was heard ------------------------------------------------------------------------------

    def _check(self, one: _Asked) -> None:
        engine, spec = self.engine(), one.spec
        if engine.sandbox.look(spec.id).state is not SandboxState.RUNNING:
            return  # frozen, or gone: that is told by itself
        answer = self.ask(self.node, spec, one.check)
        with self._turn:
            if self._asked.get(spec.id) is not one or not one.heard(answer):
                return
        health.note(self.node, spec.id, one.started_at, one.seen)
        note_health(Records(self.node, spec.id), engine.reports, one.seen, one.failed)
        is_ill = one.seen.state is HealthState.UNHEALTHY
        if is_ill and one.check.action is HealthAction.RESTART:
            delay = engine.end_unhealthy(spec.id, one.started_at)
            if delay is not None:
                self.again(spec.id, delay)

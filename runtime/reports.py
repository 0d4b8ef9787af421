"""What the node says of an environment: its state from the kernel, its history from the records."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from uuid import UUID

import structlog

from runtime.clock import sequence
from runtime.contract import AppSeen, EnvironmentSpec, ObservedState, Report, Step
from runtime.contract import Kind as KindName
from runtime.contract.said import NOTHING
from runtime.contract.words import advice, ends
from runtime.errors import RuntimeFault
from runtime.health import noted
from runtime.kinds import Toolbox
from runtime.sandboxes import SandboxState
from runtime.shipping.noted import noted as noted_of_logs
from runtime.state import Failure, State

log = structlog.get_logger()

UP = (ObservedState.RUNNING, ObservedState.PAUSED)

_WITHOUT_CONSOLE = {
    "code": "console_lost",
    "message": ends.without_console(),
    "next_step": advice.use_a_terminal(),
}

Reporter = Callable[[Report], None]


class Reports:
    """Makes reports and hands them to `send`, whose failure is logged and holds nothing up."""

    def __init__(self, tools: Toolbox, send: Reporter):
        self.node = tools.node
        self.tools = tools
        self.sandbox = tools.sandbox
        self._send = send

    def observe(
        self, environment_id: UUID, kind: KindName = KindName.SYSTEM
    ) -> tuple[ObservedState, int | None]:
        """State and init pid, from the kernel alone."""
        seen = self.sandbox.look(environment_id)
        if not self.tools.kind(kind).is_up(seen):
            return ObservedState.STOPPED, None
        return ObservedState.PAUSED if seen.state is SandboxState.FROZEN else ObservedState.RUNNING, seen.pid

    def of(
        self,
        spec: EnvironmentSpec,
        state: State,
        steps: Iterable[Step] = (),
        *,
        final: bool,
        fault: RuntimeFault | None = None,
    ) -> Report:
        """The environment now; `fault`: why the apply that just ended did not do what it should."""
        observed, pid = self.observe(spec.id, spec.kind)
        failure = state.failure if state.failed == spec.generation else None
        if failure is not None and state.applied == 0:
            observed = ObservedState.FAILED
        if failure is None and fault is not None:
            failure = Failure.of(fault)
        if failure is not None and state.code and fault is None and not steps:
            failure = None  # what happened since counts more
        told = state
        if failure is None and not state.code and pid and self.sandbox.lost_console(spec.id, pid):
            told = state.model_copy(update=_WITHOUT_CONSOLE)
        return Report(
            node=self.node.name,
            environment_id=spec.id,
            generation=state.applied,
            # what tells how things stand says nothing of a spec that nobody has tried yet
            attempted_generation=spec.generation if fault or not final else max(state.applied, state.failed),
            operation_id=spec.operation_id,
            sequence=sequence(self.node),
            at=datetime.now(UTC),
            state=observed,
            final=final,
            code=(failure.code if failure else told.code) if final else "",
            message=(failure.sentence if failure else told.message) if final else NOTHING,
            next_step=(failure.next_step if failure else told.next_step) if final else NOTHING,
            retryable=failure.retryable if failure else True,
            steps=tuple(steps),
            init_pid=pid,
            started_at=datetime.fromtimestamp(state.started_at, UTC)
            if state.started_at and observed in UP
            else None,
            restarts=state.restarts,
            exit_code=state.exit_code,
            oom_kills=state.ooms,
            app=self._app(spec, state, runs=pid is not None) if spec.app is not None else None,
        )

    def _app(self, spec: EnvironmentSpec, state: State, *, runs: bool) -> AppSeen | None:
        kind = self.tools.kind(spec.kind)
        seen = kind.seen(self.node, spec)
        if seen is None or not runs:
            return seen
        more: dict[str, object] = {}
        if kind.health(self.node, spec) is not None:
            more["health"] = noted(self.node, spec.id, state.started_at)
        if spec.app is not None and spec.app.logs is not None:
            more["logs"] = noted_of_logs(self.node, spec.id, spec.app.logs.to).seen
        return seen.model_copy(update=more)

    def of_refused(self, spec: EnvironmentSpec, state: State, fault: RuntimeFault) -> Report:
        """Not even taken in: what stands is what stood."""
        return self.of(spec, state, final=True, fault=fault)

    def of_deleted(self, spec: EnvironmentSpec, steps: Iterable[Step] = ()) -> Report:
        """Nothing is left of it."""
        return Report(
            node=self.node.name,
            environment_id=spec.id,
            generation=spec.generation,
            attempted_generation=spec.generation,
            operation_id=spec.operation_id,
            sequence=sequence(self.node),
            at=datetime.now(UTC),
            state=ObservedState.DELETED,
            steps=tuple(steps),
        )

    def tell(self, report: Report) -> Report:
        """Hands it on, and returns it."""
        try:
            self._send(report)
        except Exception:  # the edge: whoever listens may be away
            log.exception("report not sent", environment=str(report.environment_id))
        return report

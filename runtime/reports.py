"""What the node says of an environment: its state from the kernel, its history from the records."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from uuid import UUID

import structlog

from runtime.contract import EnvironmentSpec, ObservedState, Report, Step
from runtime.errors import RuntimeFault
from runtime.host.oci import init_pid
from runtime.kinds import Toolbox
from runtime.resources.cgroup import Cgroup
from runtime.resources.process import Start
from runtime.state import State

log = structlog.get_logger()

Reporter = Callable[[Report], None]


class Reports:
    """Makes reports and hands them to `send`, whose failure is logged and holds nothing up."""

    def __init__(self, tools: Toolbox, send: Reporter):
        self.node = tools.node
        self._tools = tools
        self._send = send

    def observe(self, environment_id: UUID) -> tuple[ObservedState, int | None]:
        """State and init pid, from the kernel alone."""
        if self._tools.one(Start).inspect(environment_id) is None:
            return ObservedState.STOPPED, None
        pid = init_pid(self.node, environment_id)
        if self._tools.one(Cgroup).frozen(environment_id):
            return ObservedState.PAUSED, pid
        return ObservedState.RUNNING, pid

    def of(
        self,
        spec: EnvironmentSpec,
        state: State,
        steps: Iterable[Step] = (),
        *,
        final: bool,
        fault: RuntimeFault | None = None,
    ) -> Report:
        """The environment now."""
        observed, pid = self.observe(spec.id)
        if fault is not None and state.applied == 0:
            observed = ObservedState.FAILED
        return Report(
            node=self.node.name,
            environment_id=spec.id,
            generation=state.applied,
            attempted_generation=spec.generation,
            operation_id=spec.operation_id,
            sequence=time.time_ns(),
            at=datetime.now(UTC),
            state=observed,
            final=final,
            code=state.code if final else "",
            message=state.message if final else "",
            next_step=state.next_step if final else "",
            retryable=fault.retryable if fault else True,
            steps=tuple(steps),
            init_pid=pid,
            started_at=datetime.fromtimestamp(state.started_at, UTC) if state.started_at and pid else None,
            restarts=state.restarts,
            exit_code=state.exit_code,
        )

    def of_deleted(self, spec: EnvironmentSpec, steps: Iterable[Step] = ()) -> Report:
        """Nothing is left of it."""
        return Report(
            node=self.node.name,
            environment_id=spec.id,
            generation=spec.generation,
            attempted_generation=spec.generation,
            operation_id=spec.operation_id,
            sequence=time.time_ns(),
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

"""One apply in progress: runs its steps, each journalled before it acts, timed, and told to those who watch."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from runtime.contract import EnvironmentSpec, Step, StepState
from runtime.errors import DeadlinePassed, Superseded
from runtime.resources.base import Resource
from runtime.state import Records

#: While work goes on, a report is sent at most this often.
PROGRESS_EVERY_S = 0.15


@dataclass
class Work:
    """Its steps, its deadline (`until`, of the monotonic clock), and who is told of progress."""

    spec: EnvironmentSpec
    records: Records
    until: float
    tell: Callable[["Work"], object]
    steps: list[Step] = field(default_factory=list)
    told_at: float = field(default_factory=time.monotonic)

    def step(
        self, resource: Resource, verb: Literal["ensure", "remove"], *, interruptible: bool = True
    ) -> None:
        """One verb of one resource. Raises what the verb raises; before it acts, when it is `interruptible`,
        `Superseded` when a newer spec came and `DeadlinePassed` when the time is over."""
        if interruptible:
            self._may_go_on(resource.name)
        if verb == "ensure":
            self.run(resource.name, verb, lambda: resource.ensure(self.spec))
        else:
            self.run(resource.name, verb, lambda: resource.remove(self.spec.id))

    def _may_go_on(self, before: str) -> None:
        if self.is_superseded():
            raise Superseded("a newer change took over")
        if time.monotonic() > self.until:
            raise DeadlinePassed(
                f"not finished within {self.spec.deadline_s:g} s; stopped before: {before}",
                next_step="Try again; if it happens again, look at the node's page.",
            )

    def run(
        self,
        name: str,
        verb: Literal["ensure", "remove", "wait"],
        act: Callable[[], str | None],
    ) -> None:
        """Journals, acts, times, and tells those who watch."""
        started = datetime.now(UTC)
        begin = time.perf_counter()
        self.records.journal({"verb": verb, "resource": name, "state": "running"})
        step = Step(name=name, verb=verb, state=StepState.RUNNING, started_at=started)
        self.steps.append(step)
        self._progress(force=verb == "wait")
        try:
            detail = act()
        except BaseException as fault:
            self._replace(begin, StepState.FAILED, str(fault))
            raise
        self._replace(begin, StepState.DONE, detail or "")

    def _replace(self, begin: float, state: StepState, detail: str) -> None:
        took = (time.perf_counter() - begin) * 1000
        self.steps[-1] = self.steps[-1].model_copy(
            update={"state": state, "duration_ms": round(took, 3), "detail": detail[:2000]}
        )

    def _progress(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self.told_at >= PROGRESS_EVERY_S:
            self.told_at = now
            self.tell(self)

    def is_superseded(self) -> bool:
        return self.records.newest_generation() > self.spec.generation

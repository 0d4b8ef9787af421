"""Work in progress, an apply or a job: runs its steps, each journalled before it acts, timed, and told to those
who watch."""

import errno
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from runtime import faults
from runtime.contract import EnvironmentSpec, Step, StepState
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import advice, changes, refusals, steps
from runtime.errors import DeadlinePassed, RuntimeFault, Superseded
from runtime.resources.base import Resource
from runtime.state import Asked, Records, SubjectRecords
from runtime.watchdog import watchdog

log = structlog.get_logger()

#: While work goes on, a report is sent at most this often.
PROGRESS_EVERY_S = 0.15
#: Every verb ends what it waits for by itself, at the latest 20 s after the deadline of the whole
#: (`sandboxes.base.KILL_DEADLINE_S`, timeouts of commands). One that is still there then hangs.
HANG_GRACE_S = 30.0
#: So long a step may go on that somebody with a newer spec (a cancel) waits for.
IN_THE_WAY_S = 5.0
#: For going back after a failure, whatever the deadline of the failed change was.
UNDO_DEADLINE_S = 120.0

Verb = Literal["ensure", "remove", "wait", "do"]


@dataclass
class Steps:
    """Of one subject's spec: its steps, its deadline (`until`, of the monotonic clock), and who is told of
    progress."""

    spec: Asked
    records: SubjectRecords[Any, Any]
    until: float
    tell: Callable[[Any], object]
    steps: list[Step] = field(default_factory=list)
    told_at: float = field(default_factory=time.monotonic)
    undoes: bool = False
    """Goes back after a failure: not interrupted by anything, its steps are shown as undone."""
    lenient: bool = False
    """Goes on where the journal can't be written: to delete is what makes room on a full disk."""
    on_hang: Callable[[RuntimeFault], object] = lambda _: None
    """Writes the reason down before the process is ended because a step hangs."""
    _waited_for: tuple[int, float] = (-1, 0.0)
    """Step during which it was first seen that a newer spec waits, and when."""

    def may_go_on(self, before: str) -> None:
        """Raises `Superseded` when a newer spec came and `DeadlinePassed` when the time is over."""
        if self.is_superseded():
            raise Superseded(changes.superseded())
        if time.monotonic() > self.until:
            raise DeadlinePassed(
                changes.deadline_passed(self.spec.deadline_s, steps.named(before)),
                next_step=advice.try_again_or_see_the_node(),
            )

    def run(self, name: str, verb: Verb, act: Callable[[], Said | None]) -> None:
        """Journals, acts, times, and tells those who watch. A step that can't be journalled isn't begun,
        unless it is one of going back."""
        started = datetime.now(UTC)
        begin = time.perf_counter()
        self._journal({"verb": verb, "resource": name, "undo": self.undoes})
        self.steps.append(Step(name=name, verb=verb, state=StepState.RUNNING, started_at=started))
        self.progress(force=verb == "wait")
        point = "undo" if self.undoes else verb
        try:
            faults.point(self.records.node, point, "before", name)
            detail = act()
            faults.point(self.records.node, point, "after", name)
        except Exception as error:
            fault = self.fault_of(error)
            self._replace(begin, StepState.FAILED, fault.said, fault.code)
            raise
        except BaseException as error:
            self._replace(begin, StepState.FAILED, Said(str(error)))
            raise
        self._replace(begin, StepState.UNDONE if self.undoes else StepState.DONE, detail or NOTHING)

    def say(self, detail: Said) -> None:
        """How far the step that is being done is."""
        self.steps[-1] = self.steps[-1].model_copy(update={"detail": detail})
        self.progress()

    def _journal(self, line: dict[str, object]) -> None:
        try:
            self.records.journal(line)
        except OSError:
            if not self.undoes and not self.lenient:
                raise

    def watched(self) -> AbstractContextManager[None]:
        """While it lasts, a step that hangs past the hard deadline ends this process; one that a newer spec
        waits for much sooner, since whoever cancels wants the work to stop."""
        return watchdog.watch(self.until + HANG_GRACE_S, self._hangs, self._is_in_the_way)

    def _is_in_the_way(self) -> bool:
        """To be asked now and then. Never of work that must come to its end whatever is wanted next."""
        if self.lenient or not self.is_superseded():
            return False
        step, since = self._waited_for
        now = time.monotonic()
        if step != len(self.steps):
            self._waited_for = len(self.steps), now
            return False
        if now - since < IN_THE_WAY_S:
            return False
        log.warning("a newer spec waits: the process is ended", environment=str(self.spec.id))
        return True

    def _hangs(self) -> None:
        name = steps.named(self.steps[-1].name) if self.steps else changes.first_step()
        self.on_hang(
            DeadlinePassed(
                changes.hung(name, self.spec.deadline_s), next_step=advice.try_again_or_see_the_node()
            )
        )

    def _replace(self, begin: float, state: StepState, detail: Said, code: str = "") -> None:
        took = (time.perf_counter() - begin) * 1000
        self.steps[-1] = self.steps[-1].model_copy(
            update={"state": state, "duration_ms": round(took, 3), "code": code, "detail": detail}
        )

    def progress(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self.told_at >= PROGRESS_EVERY_S:
            self.told_at = now
            self.tell(self)

    def is_superseded(self) -> bool:
        return not self.undoes and self.records.newest_generation() > self.spec.generation

    def fault_of(self, error: Exception) -> RuntimeFault:
        """The error as a person is told it, with the step it came from."""
        if isinstance(error, RuntimeFault):
            return error
        why = _of_kernel(error, self.records) if isinstance(error, OSError) else _of_own(error)
        if self.steps:
            why.said = changes.at(steps.named(self.steps[-1].name), why.said)
        return why


@dataclass
class Work(Steps):
    """One apply in progress."""

    spec: EnvironmentSpec
    records: Records

    def step(
        self, resource: Resource, verb: Literal["ensure", "remove"], *, interruptible: bool = True
    ) -> None:
        """One verb of one resource. Raises what the verb raises; before it acts, when it is `interruptible`,
        `Superseded` when a newer spec came and `DeadlinePassed` when the time is over."""
        if interruptible and not self.undoes:
            self.may_go_on(resource.name)
        if verb == "ensure":
            self.run(resource.name, verb, lambda: resource.ensure(self.spec))
        else:
            self.run(resource.name, verb, lambda: resource.remove(self.spec.id))


def _of_own(error: Exception) -> RuntimeFault:
    said = changes.internal_error(f"{type(error).__name__}: {error}")
    return RuntimeFault(said, code="internal_error", next_step=advice.report_it())


def _of_kernel(error: OSError, records: SubjectRecords[Any, Any]) -> RuntimeFault:
    if error.errno == errno.EDQUOT:
        return RuntimeFault(refusals.disk_limit(), code="disk_limit", next_step=advice.delete_files_inside())
    if error.errno == errno.ENOSPC:
        free = records.node.free_space()
        return RuntimeFault(refusals.node_full(free), code="node_full", next_step=advice.give_the_node_disk())
    if error.errno == errno.ENOMEM:
        return RuntimeFault(refusals.no_memory(), code="node_memory", next_step=advice.try_later())
    said = error.strerror or str(error)
    with suppress(TypeError):
        said += f" ({error.filename})" if error.filename else ""
    return RuntimeFault(refusals.kernel_refused(said), code="os_error")

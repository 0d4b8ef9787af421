"""Whatever is asked for, in whatever order, and whatever goes wrong at any step: the node comes to what is
wanted, nothing is left, nothing is there twice, and the journal tells what was done.

    PAPER_EXAMPLES=2000 pytest tests/unit/engine
"""

import errno
import os
import tempfile
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from structlog.testing import capture_logs

from runtime.contract import DesiredState, EnvironmentSpec, Limits, Report
from runtime.contract.said import plain
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.state import Records
from tests.unit.engine.paper import Killed, PaperKind, engine, paper_node

KIND = PaperKind()
NAMES = [one.name for one in KIND.resources]
WHEN = st.sampled_from(["before", "after"])
STEPS = st.one_of(
    st.tuples(st.sampled_from(["ensure", "remove", "undo"]), WHEN, st.sampled_from(NAMES)),
    st.tuples(st.just("commit"), WHEN, st.just("records")),
    st.tuples(st.just("wait"), WHEN, st.just("shutdown")),
    st.tuples(st.just("ensure"), WHEN, st.sampled_from(["pause", "resume"])),
)
WHAT = st.sampled_from(["fail", "full", "kill", "hang", "newer", "delete"])
TROUBLE = st.dictionaries(STEPS, WHAT, max_size=2)
DESIRED = st.sampled_from([DesiredState.RUNNING, DesiredState.STOPPED, DesiredState.PAUSED])
WHICH = st.integers(0, 2)


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._undo = ExitStack()
        home = Path(self._undo.enter_context(tempfile.TemporaryDirectory(prefix="wadah-paper-")))
        self.node, self.paper = self._undo.enter_context(paper_node(home))
        self.told: list[Report] = []
        self.ids: list[UUID] = []
        self.newest: dict[UUID, EnvironmentSpec] = {}
        self.is_troubled: set[UUID] = set()
        """Something went wrong for it since it was last asked for something: it may have been given up."""

    @initialize()
    def begin(self) -> None:
        self.ids = [uuid.uuid4() for _ in range(3)]

    def teardown(self) -> None:
        self._undo.close()

    def engine(self) -> Engine:
        return engine(self.node, self.paper, self.told.append)

    # what is asked for ---------------------------------------------------------------------------

    def spec(self, environment_id: UUID, **changes: Any) -> EnvironmentSpec:
        """The next generation; after a deletion it is another environment's turn to be asked for."""
        before = self.newest.get(environment_id)
        if before is not None:
            spec = before.model_copy(update={"generation": before.generation + 1, **changes})
        else:
            spec = EnvironmentSpec(
                id=environment_id,
                tenant_id=uuid.UUID(int=7),
                node=self.node.name,
                name="paper",
                generation=1,
                image="paper",
                desired=changes.pop("desired", DesiredState.RUNNING),
                slot=self.ids.index(environment_id),
                limits=Limits(cpu=1, memory_mb=64, disk_mb=64),
            ).model_copy(update=changes)
        self.newest[environment_id] = spec
        return spec

    def ask(self, spec: EnvironmentSpec, trouble: dict[tuple[str, str, str], str]) -> None:
        self.is_troubled.discard(spec.id)
        for step, what in trouble.items():
            self.paper.plan[step] = self.trouble(spec.id, what)
        report: Report | None = None
        with suppress(Killed):
            report = self.engine().apply(spec)
        self.paper.plan.clear()
        self.look_at_journal(spec.id)
        state = Records(self.node, spec.id).state()
        if (
            report is not None
            and report.code in ("injected", "node_full")
            and spec.desired is not DesiredState.DELETED
        ):
            assert report.attempted_generation in (state.failed, state.applied)
        if report is not None and any(
            word in report.message for word in ("Nothing is left", "as it was before")
        ):
            assert state.failed == self.newest[spec.id].generation
            self.is_as_wanted(spec.id, self.newest[spec.id])

    def trouble(self, environment_id: UUID, what: str) -> Callable[[], object]:
        def fail(error: BaseException) -> Callable[[], object]:
            def act() -> None:
                self.is_troubled.add(environment_id)
                raise error

            return act

        def newer(**changes: Any) -> None:
            """Another process brings a newer spec: the lock is taken, so it goes home. Nobody asks anything
            else of what is to be deleted."""
            if self.newest[environment_id].desired is DesiredState.DELETED:
                changes["desired"] = DesiredState.DELETED
            assert self.engine().apply(self.spec(environment_id, **changes)) is None

        def hang() -> None:
            self.is_troubled.add(environment_id)
            self.paper.hang()

        return {
            "fail": fail(RuntimeFault(plain("made to fail"), code="injected")),
            "full": fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
            "kill": fail(Killed()),
            "hang": hang,
            "newer": lambda: newer(desired=DesiredState.STOPPED),
            "delete": lambda: newer(desired=DesiredState.DELETED),
        }[what]

    @rule(
        which=WHICH,
        desired=DESIRED,
        memory=st.sampled_from([64, 96]),
        again=st.integers(0, 1),
        anew=st.integers(0, 1),
        trouble=TROUBLE,
    )
    def change(
        self,
        which: int,
        desired: DesiredState,
        memory: int,
        again: int,
        anew: int,
        trouble: dict[tuple[str, str, str], str],
    ) -> None:
        environment_id = self.alive(which)
        before = self.newest.get(environment_id)
        boots, installs = (before.boots, before.installs) if before else (0, 0)
        spec = self.spec(
            environment_id,
            desired=desired,
            limits=Limits(cpu=1, memory_mb=memory, disk_mb=64),
            boots=boots + again + anew,
            installs=installs + anew,
        )
        self.ask(spec, trouble)

    def alive(self, which: int) -> UUID:
        """A deleted one never comes back: another takes its place."""
        known = self.newest.get(self.ids[which])
        if known is not None and known.desired is DesiredState.DELETED:
            self.settle()
            self.ids[which] = uuid.uuid4()
        return self.ids[which]

    @rule(which=WHICH, trouble=TROUBLE)
    def delete(self, which: int, trouble: dict[tuple[str, str, str], str]) -> None:
        if self.ids[which] in self.newest:
            self.ask(self.spec(self.ids[which], desired=DesiredState.DELETED), trouble)

    @rule(which=WHICH, back=st.integers(0, 3))
    def comes_late(self, which: int, back: int) -> None:
        """A message of an older generation, or the newest once more, changes nothing that is wanted."""
        newest = self.newest.get(self.ids[which])
        if newest is None:
            return
        old = newest.model_copy(update={"generation": max(1, newest.generation - back)})
        if old.generation < newest.generation:
            old = old.model_copy(update={"desired": DesiredState.RUNNING, "boots": 99})
        self.engine().apply(old)
        assert Records(self.node, old.id).wanted() in (newest, None)

    # what happens by itself ------------------------------------------------------------------------

    @rule(which=WHICH, code=st.sampled_from([0, 1, 129, 130, 137, None]), overtaken=st.booleans())
    def ends(self, which: int, code: int | None, overtaken: bool) -> None:
        """Perhaps while somebody else brings a newer spec, who finds the lock taken."""
        environment_id = self.ids[which]
        if self.paper.objects.pop(("init", environment_id), None) is None:
            return
        newer = [self.trouble(environment_id, "newer")] if overtaken else []

        def told(_: Report) -> None:
            while newer:
                newer.pop()()

        engine(self.node, self.paper, told).on_exit(environment_id, code)
        if overtaken and not newer and environment_id not in self.is_troubled:
            assert Records(self.node, environment_id).standing() == self.newest[environment_id]
            self.is_as_wanted(environment_id, self.newest[environment_id])

    @rule(which=WHICH, name=st.sampled_from(NAMES))
    def drifts(self, which: int, name: str) -> None:
        """Somebody takes it away behind the node's back."""
        self.paper.objects.pop((name, self.ids[which]), None)

    @rule()
    def looks(self) -> None:
        self.engine().reconcile()

    # what must hold --------------------------------------------------------------------------------

    def look_at_journal(self, environment_id: UUID) -> None:
        """Whatever was done since it was begun stands in it, in this order; what stands in it and wasn't done
        failed, or was cut off, before it came to act."""
        lines = Records(self.node, environment_id).journal_lines()
        journal = iter((one["verb"], one["resource"]) for one in lines if "resource" in one)
        done = self.paper.calls[self.paper.begun.get(environment_id, 0) :] if lines else []
        assert all((verb, name) in journal for owner, verb, name in done if owner == environment_id)

    @invariant()
    def nothing_is_doubled(self) -> None:
        assert self.paper.doubled == []

    @precondition(lambda self: self.newest)
    @rule()
    def settle(self) -> None:
        """Given time, the node comes to what is wanted, by itself."""
        for _ in range(6):
            for environment_id in list(self.newest):
                if Records(self.node, environment_id).state().restart_at is not None:
                    self.engine().again(environment_id)
            cut_off = self.engine().reconciler.interrupted()
            for environment_id in cut_off:
                self.engine().again(environment_id)
            if not self.engine().reconcile() and not cut_off:
                break
        assert self.engine().missing() == {}
        assert self.engine().leaks() == []
        for environment_id, spec in self.newest.items():
            self.is_as_wanted(environment_id, spec)

    def is_as_wanted(self, environment_id: UUID, newest: EnvironmentSpec) -> None:
        records, there = Records(self.node, environment_id), self.paper.of(environment_id)
        standing, state = records.standing(), records.state()
        if newest.desired is DesiredState.DELETED or standing is None:
            assert there == {}
            assert newest.desired is DesiredState.DELETED or environment_id in self.is_troubled
            return
        assert standing.generation in (state.applied, newest.generation)
        assert state.failed != state.applied
        if environment_id not in self.is_troubled:
            assert standing == newest
        wanted: dict[str, object] = {"ids": (standing.slot, standing.tenant_id), "disk": standing.installs}
        if standing.desired is not DesiredState.STOPPED and not state.stays_off:
            init: Any = there.get("init")
            wanted |= {"limits": standing.limits.memory_mb, "link": True, "init": init}
            assert init.boots >= standing.boots
            assert init.installs == standing.installs
            assert init.frozen == (standing.desired is DesiredState.PAUSED)
        elif state.stays_off:  # it ended by itself: what it ran with may lie there until the next start
            there = {name: value for name, value in there.items() if name not in ("limits", "link")}
        assert there == wanted


def test_the_node_comes_to_what_is_wanted() -> None:
    with capture_logs():  # drawing the log of a thousand failures takes longer than they do
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=int(os.environ.get("PAPER_EXAMPLES", "60")),
                stateful_step_count=25,
                deadline=None,
                derandomize="PAPER_EXAMPLES" not in os.environ,
                suppress_health_check=list(HealthCheck),
            ),
        )

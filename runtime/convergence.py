"""Convergence: the resources of one environment brought to a spec, or taken away, in the order of its kind.

It says which step comes next and what ends or begins with it. What is accepted, written down, reported and
undone is the engine's.
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import structlog

from runtime.clock import boot_id
from runtime.contract import DesiredState, EnvironmentSpec, Rescue
from runtime.contract.said import Said
from runtime.contract.words import steps
from runtime.errors import RuntimeFault
from runtime.hooks import run_hook
from runtime.images.waiter import Waiter
from runtime.kinds import Toolbox
from runtime.resources.base import Resource
from runtime.sandboxes import SandboxState
from runtime.state import State
from runtime.work import Work

log = structlog.get_logger()

#: Causes of a start that failed with its monitor, and not with anything that was asked for.
STARTED_IN_VAIN = frozenset({"console_held", "monitor_failed"})
#: So long an environment's own processes are waited for where others wait behind it.
SOON_S = 1.0


class MustWait(Exception):
    """What comes next waits for an environment's own pleasure: not here, where others wait behind it."""


@dataclass(frozen=True)
class Convergence:
    """One work on one environment, step by step.

    `waits`: whether it may wait for an environment to shut down, and for what can't be frozen or killed at
    once. Where it may not, what would wait raises `MustWait` before anything is changed by it; work that is
    undone waits for nobody.
    """

    tools: Toolbox
    work: Work
    waits: bool

    @property
    def _may_wait(self) -> bool:
        return self.waits or self.work.undoes

    def get_ready(self) -> None:
        """What it is made from is brought, as a step of its own; not where others wait behind it."""
        kind, spec = self.tools.kind(self.work.spec.kind), self.work.spec
        if kind.is_ready(self.tools.node, spec):
            return
        if not self.waits:
            raise MustWait
        within_s = max(0.0, self.work.until - time.monotonic())
        waiter = Waiter(self.work.is_superseded, self.work.say, within_s)
        from_backup = spec.origin is not None and spec.origin.backup is not None
        name = "backup fetch" if from_backup else "image fetch"
        self.work.run(name, "wait", lambda: kind.get_ready(self.tools.node, spec, waiter))

    def make_so(self, state: State) -> None:
        """The spec's resources in order, stopped and started where that is wanted."""
        spec = self.work.spec
        resources = self.tools.of(spec)
        if not self._may_wait and any(one.waits(spec) for one in resources):
            raise MustWait
        is_half_made = self.tools.sandbox.is_half_made(spec.id)
        runs = self.tools.sandbox.look(spec.id).is_there and not is_half_made
        wants_run = spec.desired in (DesiredState.RUNNING, DesiredState.PAUSED) and not state.stays_off
        reboot = runs and self._is_of_another_boot(spec)
        if spec.hooks.start and wants_run and not self._may_wait and (reboot or not runs):
            raise MustWait
        if runs and (reboot or not wants_run):
            self._halt()
            runs = False
        if not runs and (reboot or is_half_made or not wants_run):
            self._take_down(resources)
        if not wants_run:
            for resource in resources:
                if resource.lifetime == "environment":
                    self.work.step(resource, "ensure")
            state.started_at = None
        else:
            with nullcontext() if runs else self.tools.sandbox.making(spec):
                self._bring_up(resources, is_fresh=not runs)
            if not runs or state.started_at is None:
                self._run_hook("start hook", spec.hooks.start)
            self._pause()
            if not runs or state.started_at is None:
                state.started_at, state.started_in = time.time(), boot_id()
                state.started_up_s = time.clock_gettime(time.CLOCK_BOOTTIME)
                state.exit_code = None
        state.restart_at = None

    def _bring_up(self, resources: Sequence[Resource], *, is_fresh: bool) -> None:
        """All of them in order; once more when what keeps its console was killed while it was being started:
        nobody has used it yet, and without a console it would stay until its next start."""
        try:
            for resource in resources:
                self.work.step(resource, "ensure")
            first = self.tools.sandbox.look(self.work.spec.id).pid
            if not (is_fresh and first and self.tools.sandbox.lost_console(self.work.spec.id, first)):
                return  # one that has ended by now isn't run twice
        except RuntimeFault as fault:
            if fault.code not in STARTED_IN_VAIN:
                raise
        log.warning("started once more: its monitor was killed", environment=str(self.work.spec.id))
        self._take_down(resources)
        for resource in resources:
            self.work.step(resource, "ensure")

    def _take_down(self, resources: Sequence[Resource]) -> None:
        for resource in reversed(resources):
            if resource.lifetime == "boot":
                self.work.step(resource, "remove")

    def _is_of_another_boot(self, spec: EnvironmentSpec) -> bool:
        """Whether what runs was started for fewer restarts than the spec counts, or another installation."""
        seen = self.tools.sandbox.made_for(spec.id)
        return seen is not None and (seen[0] < spec.boots or seen[1] != spec.installs)

    def _pause(self) -> None:
        wanted = self.work.spec.desired is DesiredState.PAUSED
        if (self.tools.sandbox.look(self.work.spec.id).state is SandboxState.FROZEN) != wanted:
            name = "pause" if wanted else "resume"
            self.work.run(name, "ensure", lambda: self._freeze(wanted))

    def _freeze(self, wanted: bool) -> None:
        if self._may_wait:
            self.tools.sandbox.freeze(self.work.spec.id, wanted)
            return
        try:
            self.tools.sandbox.freeze(self.work.spec.id, wanted, within_s=SOON_S)
        except RuntimeFault as busy:
            raise MustWait from busy

    def _run_hook(self, name: str, script: str) -> None:
        """As a step of its own, which fails nothing. Not where work is undone, nor in a rescue system."""
        spec = self.work.spec
        if not script or self.work.undoes or spec.rescue is not Rescue.OFF:
            return
        if self.tools.sandbox.look(spec.id).state is SandboxState.RUNNING:
            self.work.run(name, "wait", lambda: run_hook(self.tools.node, spec, script))

    def _halt(self) -> None:
        """The polite stop, as a step of its own; at once where work is undone."""
        if not self._may_wait and self.work.spec.stop_timeout_s > 0:
            raise MustWait
        if self.work.spec.stop_timeout_s > 0:
            self._run_hook("stop hook", self.work.spec.hooks.stop)

        def stop() -> Said | None:
            if not self._may_wait:
                self.end_soon()
                return steps.killed()
            limit = min(self.work.spec.stop_timeout_s, max(0.0, self.work.until - time.monotonic()))
            return self.tools.sandbox.stop(
                self.work.spec.id,
                timeout_s=0 if self.work.undoes else limit,
                interrupted=self.work.is_superseded,
            )

        self.work.run("shutdown", "wait", stop)

    def end_soon(self) -> None:
        """Killed. What doesn't end at once isn't waited for here, where others wait behind it: `MustWait`."""
        try:
            self.tools.sandbox.stop(self.work.spec.id, timeout_s=0, kill_within_s=SOON_S)
        except RuntimeFault as fault:
            if fault.code == "unkillable":
                raise MustWait from fault
            raise

    def remove_all(self) -> RuntimeFault | None:
        """Every resource's `remove`, each whether or not another failed; the first failure."""
        first: RuntimeFault | None = None
        for resource in self.tools.in_order_of_removal():
            try:
                self.work.step(resource, "remove", interruptible=False)
            except Exception as error:  # the edge: the others are tried all the same
                log.warning(
                    "not removed", environment=str(self.work.spec.id), resource=resource.name, error=str(error)
                )
                first = first or self.work.fault_of(error)
        return first

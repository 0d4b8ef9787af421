"""Compares what is wanted with the kernel: what drifted, what leaks, what is missing."""

import time
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import structlog

from runtime.contract import DesiredState
from runtime.errors import RuntimeFault
from runtime.host.oci import init_pid
from runtime.kinds import Toolbox
from runtime.resources.base import Found
from runtime.resources.volume import RootVolume
from runtime.state import Records, buried_lately, known_environments, sweep_tombstones

log = structlog.get_logger()

#: What belongs to an environment that was deleted a moment ago may still be on its way out: its link
#: goes when the kernel has taken its network namespace away, which takes longer on a busy host.
DYING_S = 30.0
_PATIENCE_S = 10.0


class Reconciler:
    def __init__(self, tools: Toolbox):
        self.node = tools.node
        self._tools = tools

    def reconcile(self, again: Callable[[UUID], object]) -> dict[UUID, str]:
        """Has `again` called for every environment that drifted; returns which and why."""
        mended: dict[UUID, str] = {}
        for environment_id in known_environments(self.node):
            records = Records(self.node, environment_id)
            seen = records.newest_generation()
            with records.try_lock() as free:
                if not free:
                    continue  # somebody is at work on it
                reason = self.drift(records)
            if not reason and records.newest_generation() > seen:
                reason = "a newer spec came while it was looked at"
            if reason:
                log.warning("drift", environment=str(environment_id), reason=reason)
                mended[environment_id] = reason
                again(environment_id)
        with suppress(RuntimeFault, OSError):
            self._sweep()
        return mended

    def drift(self, records: Records) -> str | None:
        """Why `again` would have work to do; None when all is as wanted."""
        spec, state = records.wanted(), records.state()
        if spec is None:
            return None
        reason: str | None = None
        if spec.desired is DesiredState.DELETED:
            reason = "a deletion was not finished"
        elif state.applied < spec.generation:
            # a failed change waits for its user's retry; one that was killed is taken up
            reason = None if state.code else "work was interrupted"
        elif spec.desired is DesiredState.STOPPED:
            runs = init_pid(self.node, spec.id) is not None
            reason = "it runs though it should be stopped" if runs else None
        elif state.restart_at is not None:
            reason = "a restart is due" if time.time() > state.restart_at + 2 else None
        elif not state.halted and not (state.started_at is None and state.code):
            # neither powered off from inside nor left alone by its restart policy
            drifts = (resource.drifted(spec) for resource in self._tools.of(spec.kind))
            reason = next((drift for drift in drifts if drift), None)
        return reason

    def _sweep(self) -> None:
        self._tools.one(RootVolume).sweep()
        sweep_tombstones(self.node)

    def leaks(self) -> list[Found]:
        """Every object with our mark that no wanted environment owns.

        A leak is what stays: it is seen twice, and what a deletion of the last half minute left is given
        up to ten seconds to go.
        """
        found = self._unowned()
        until = time.monotonic() + _PATIENCE_S
        while found:
            time.sleep(0.05)
            found = [one for one in self._unowned() if one in found]
            dying = all(
                one.environment_id and buried_lately(self.node, one.environment_id, DYING_S) for one in found
            )
            if not dying or time.monotonic() > until:
                break
        return found

    def _unowned(self) -> list[Found]:
        found = [one for resource in self._tools.all() for one in resource.inventory()]
        # read last: what was made meanwhile is known by now
        known = set(known_environments(self.node))
        return [one for one in found if one.environment_id not in known]

    def missing(self) -> dict[UUID, str]:
        """The reverse of leaks: wanted environments that lack something, and what."""
        lacking = {}
        for environment_id in known_environments(self.node):
            reason = self.drift(Records(self.node, environment_id))
            if reason:
                lacking[environment_id] = reason
        return lacking

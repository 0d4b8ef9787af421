"""Compares what is wanted with the kernel: what drifted, what leaks, what is missing."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

import structlog

from runtime import answering, exits, tenants
from runtime.clock import boot_id
from runtime.contract import DesiredState, EnvironmentSpec
from runtime.contract.said import Said
from runtime.contract.words import drift, steps
from runtime.errors import RuntimeFault
from runtime.files import replace_file
from runtime.glance import Glance
from runtime.host.logfile import keep_small
from runtime.images import confined
from runtime.kinds import Toolbox
from runtime.known import buried_lately, known_environments, pending_environments, sweep_tombstones
from runtime.resources.base import Found
from runtime.state import Records

log = structlog.get_logger()

#: What belongs to an environment that was deleted a moment ago may still be on its way out: its link
#: goes when the kernel has taken its network namespace away, which takes longer on a busy host.
DYING_S = 30.0
_PATIENCE_S = 10.0
_MOST_KNOWN = 10_000
_LEAVING_S = 3.0
#: What nobody wants is left alone for so long: a panel, or a person, may be about to say that they do.
GRACE_S = 60.0


#: Brings about what should be, for the reason given.
Again = Callable[[UUID, Said], object]
#: Told of an environment whose init ended by itself: an end is no drift, its restart policy says what follows.
Ended = Callable[[UUID], object]


class Reconciler:
    def __init__(self, tools: Toolbox):
        self.node = tools.node
        self._tools = tools
        self._records: dict[UUID, Records] = {}

    def reconcile(self, again: Again, ended: Ended | None = None) -> dict[UUID, Said]:
        """Has `again` called for every environment that drifted; returns which and why. `ended` instead, where
        there is somebody who looks after ends."""
        mended: dict[UUID, Said] = {}
        glance = Glance()
        for environment_id in known_environments(self.node):
            try:
                reason = self.look(environment_id, glance, again, ended)
            except Exception:  # the edge: one environment's trouble must not keep the others from being mended
                log.exception("not mended", environment=str(environment_id))
                continue
            if reason:
                mended[environment_id] = reason
        self.sweep()
        return mended

    def look(
        self, environment_id: UUID, glance: Glance, again: Again, ended: Ended | None = None
    ) -> Said | None:
        """As `mend` where the glance, or work that somebody has begun, says that it may be needed. Takes no
        lock: it is nobody's way, and costs little."""
        if self.drift(self.known(environment_id), glance) is None:
            return None
        return self.mend(environment_id, again, ended)

    def known(self, environment_id: UUID) -> Records:
        """With what was understood of its files the last time."""
        if environment_id not in self._records:
            if len(self._records) > _MOST_KNOWN:
                self._records.clear()  # of environments that are gone nobody asks any more
            self._records[environment_id] = Records(self.node, environment_id)
        return self._records[environment_id]

    def mend(self, environment_id: UUID, again: Again, ended: Ended | None = None) -> Said | None:
        """Has `again` called when the environment drifted; why, or None. A no-op while it is worked on."""
        records = Records(self.node, environment_id)
        seen = records.newest_generation()
        with records.try_lock() as free:
            if not free:
                return None
            reason = self.drift(records)
            is_end = bool(reason and ended and self._has_ended(records))
        if is_end and ended is not None:
            ended(environment_id)
            return None
        if not reason and records.newest_generation() > seen:
            reason = drift.newer_spec()
        if reason:
            log.warning("drift", environment=str(environment_id), reason=reason)
            again(environment_id, reason)
        return reason

    def _has_ended(self, records: Records) -> bool:
        """Whether it ran as it should, and its init ended since the node's start."""
        spec, state = records.wanted(), records.state()
        if spec is None or spec.generation not in (state.applied, state.failed) or state.stays_off:
            return False
        if state.started_at is None or state.restart_at is not None:
            return False
        if self._tools.sandbox.look(records.id).is_there:
            return False
        if state.started_in:
            return state.started_in == boot_id()
        up_since = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        return state.started_at >= up_since

    def interrupted(self, *, older_than_s: float = 0) -> list[UUID]:
        """Where something is to be done and nobody holds the lock: what a killed process left in its middle.
        Cheap when there is none; for every second. `older_than_s` leaves time to whoever was asked to go on."""
        found = []
        for environment_id in pending_environments(self.node, older_than_s=older_than_s):
            with Records(self.node, environment_id).try_lock() as free:
                if free:
                    found.append(environment_id)
        return found

    def drift(self, records: Records, glance: Glance | None = None) -> Said | None:
        """Why `again` would have work to do; None when all is as wanted. Asked of the kernel anew, where there
        is no `glance`."""
        glance = glance or Glance()
        spec, state = records.wanted(), records.state()
        if spec is None:
            return None
        if spec.desired is DesiredState.DELETED:
            return drift.deletion_not_finished()
        if state.applied < spec.generation and state.failed != spec.generation:
            return drift.work_interrupted()
        standing = records.applied() if state.failed == spec.generation else spec
        if standing is None:
            left = self.left_of(spec)
            return drift.left_of_create(left) if left else None
        if state.restart_at is not None:
            # by now, or so far ahead that somebody has set the clock back
            late = time.time() - state.restart_at
            most = max(standing.restart.max_delay_s, exits.MOST_PAUSE_S)
            return drift.restart_due() if late > 2 or late < -most - 2 else None
        if standing.desired is DesiredState.STOPPED or state.stays_off:
            if self._tools.sandbox.look(spec.id).is_there:
                return drift.runs_though_stopped()
            resources = [one for one in self._tools.of(standing) if one.lifetime == "environment"]
        else:
            resources = self._tools.of(standing)
        return next((why for why in (one.drifted(standing, glance) for one in resources) if why), None)

    def left_of(self, spec: EnvironmentSpec) -> tuple[Said, ...]:
        """Names of the resources that are there of an environment that should not be.

        What is on its way out (a link whose namespace the kernel is taking away) has a few seconds to go.
        """
        until = time.monotonic() + _LEAVING_S
        while left := [one.name for one in self._tools.all() if one.inspect(spec.id) is not None]:
            if time.monotonic() > until:
                break
            time.sleep(0.05)
        return tuple(steps.named(one) for one in left)

    def sweep(self) -> None:
        """Takes away what deletions left of records and quota groups, and killed processes of their containers;
        what can't go now goes another time."""
        with suppress(RuntimeFault, OSError):
            for environment_id in known_environments(self.node):
                Records(self.node, environment_id).sweep()
            for resource in self._tools.all():
                resource.sweep()
            sweep_tombstones(self.node)
            confined.sweep(self.node)
            for name in ("lxcfs.log", "answers.log"):
                keep_small(self.node.root / name)
            answering.start(self.node)  # only where it was killed: a command in what runs needs somebody there

    def forget_tenants(self) -> None:
        """Of what tenants are held to, what is of none that has an environment here."""

        def living() -> set[UUID]:
            specs = [self.known(one).wanted() for one in known_environments(self.node)]
            return {spec.tenant_id for spec in specs if spec is not None}

        with suppress(OSError):
            tenants.sweep(self.node, living)

    def clean_up(self, *, grace_s: float = GRACE_S) -> list[Found]:
        """Takes away what nobody wants and what was seen so for `grace_s` seconds; returns it. Root volumes are
        put aside, not deleted. To be called now and then."""
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        file = self.node.run / "orphans.json"
        before: dict[str, float] = {}
        with suppress(OSError, ValueError):
            before = json.loads(file.read_text())
        found = self.leaks()
        since = {str(one): min(now, float(before.get(str(one), now))) for one in found}
        if since or before:
            replace_file(file, json.dumps(since))
        due = [one for one in found if now - since[str(one)] >= grace_s and not self._runs_on(one)]
        return [one for one in self._processes_first(due) if self._discard(one)]

    def _runs_on(self, found: Found) -> bool:
        """Whether it belongs to something that runs and was never deleted here: then it is the records that
        were lost, and that is told, not punished."""
        owner = found.environment_id
        if owner is None or Records(self.node, owner).tombstone():
            return False
        return self._tools.sandbox.usage(owner).processes > 0

    def _processes_first(self, found: list[Found]) -> list[Found]:
        order = [one.name for one in self._tools.in_order_of_removal()]
        return sorted(found, key=lambda one: order.index(one.resource))

    def _discard(self, found: Found) -> bool:
        resource = next(one for one in self._tools.all() if one.name == found.resource)
        owner = found.environment_id or UUID(int=0)
        with Records(self.node, owner).try_lock() as free:
            if not free or self._is_wanted(owner):
                return False
            try:
                resource.discard(found)
            except (RuntimeFault, OSError):
                log.exception("orphan not taken away", resource=found.resource, what=found.what)
                return False
        log.warning("orphan taken away", resource=found.resource, what=found.what)
        return True

    def _is_wanted(self, environment_id: UUID) -> bool:
        records = Records(self.node, environment_id)
        return records.directory.exists() and self._may_own(records)

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
        known = {one for one in known_environments(self.node) if self._may_own(Records(self.node, one))}
        return [one for one in found if one.environment_id not in known]

    @staticmethod
    def _may_own(records: Records) -> bool:
        """Not when its create was given up. When its spec can't be read, nobody can say that it may not."""
        return records.wanted() is None or records.standing() is not None

    def missing(self) -> dict[UUID, Said]:
        """The reverse of leaks: what lacks something, and what; without those that are worked on now."""
        lacking, glance = {}, Glance()
        for environment_id in known_environments(self.node):
            records, reason = self.known(environment_id), None
            if records.wanted() is None and records.directory.exists():
                reason = drift.records_unreadable()
            elif self.drift(records, glance) is not None:
                with records.try_lock() as free:
                    reason = self.drift(records) if free else None
            if reason:
                lacking[environment_id] = reason
        return lacking

"""The job about tenants: what each is held to on a node, brought about for all of its environments at once."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import groupby
from uuid import UUID

from runtime import tenants
from runtime.contract import DesiredState, EnvironmentSpec, HoldTenants
from runtime.contract.said import Said
from runtime.contract.words import jobs as words
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.jobs.base import Course, Job, Plan, Task
from runtime.kinds import Toolbox
from runtime.known import known_environments
from runtime.node import Node
from runtime.state import Records

#: Environments that are worked on at once; most of that is waiting for what shuts down.
_AT_ONCE = 32
_TURN_S = 0.5


class Hold(Job):
    """What was done isn't taken back: what holds is the newest that the node knows of a tenant, whichever job
    or spec it came with."""

    kind = "hold_tenants"

    def __init__(self, tools: Callable[[Node], Toolbox] = Toolbox):
        self._tools = tools

    def plan(self, course: Course) -> Plan:
        work = course.spec.work
        assert isinstance(work, HoldTenants)
        held = {one.id for one in work.tenants}

        def limit() -> None:
            for one in work.tenants:
                tenants.note(course.node, one.id, one.envelope)
            tools = self._tools(course.node)
            for specs in _by_tenant(course.node, held):
                for resource in tools.all():
                    resource.hold(specs)

        def halt() -> None:
            found = [spec.id for specs in _by_tenant(course.node, held) for spec in specs]
            _Halting(course, self._tools(course.node)).all(found)

        tasks = [Task("tenant limits", limit)]
        if work.halts:
            tasks.append(Task("tenant environments", halt))
        return Plan(tasks)


def _by_tenant(node: Node, held: set[UUID]) -> Iterator[Sequence[EnvironmentSpec]]:
    """What should be so of their environments, tenant by tenant."""
    found = []
    for environment_id in known_environments(node):
        spec = Records(node, environment_id).standing()
        if spec is not None and spec.tenant_id in held and spec.desired is not DesiredState.DELETED:
            found.append(spec)
    found.sort(key=lambda spec: str(spec.tenant_id))
    for _, specs in groupby(found, key=lambda spec: spec.tenant_id):
        yield list(specs)


class _Halting:
    """Has environments brought about as they should be now, many at once."""

    def __init__(self, course: Course, tools: Toolbox):
        self._course = course
        self._engine = Engine(course.node, course.tell_of_environment, tools=tools)
        self._ends = threading.Event()

    def all(self, environments: Sequence[UUID]) -> None:
        """Each gets its turn, whatever became of another; then raises `RuntimeFault` when some aren't so."""
        failed: list[Said] = []
        told_at = 0.0
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            running = [pool.submit(self._one, one) for one in environments]
            try:
                for done, future in enumerate(as_completed(running), 1):
                    why = future.result()
                    if why is not None:
                        failed.append(why)
                    if time.monotonic() > told_at + _TURN_S:
                        told_at = time.monotonic()
                        said = words.environments_done(done, len(environments))
                        self._course.progress(done / len(environments), said)
            except BaseException:
                self._ends.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if failed:
            raise RuntimeFault(words.environments_failed(len(failed), failed[0]), code="environments_failed")
        self._course.made = words.environments_done(len(environments), len(environments))

    def _one(self, environment_id: UUID) -> Said | None:
        """Why it isn't as it should be. Whoever is at work on it is waited for: he began by what was."""
        records = Records(self._course.node, environment_id)
        while not self._ends.is_set():
            report = self._engine.again(environment_id)
            spec = records.wanted()
            if spec is None or spec.desired is DesiredState.DELETED:
                return None
            if report is not None:
                drifted = self._engine.reconciler.drift(records)
                return None if drifted is None else report.message or drifted
            self._ends.wait(_TURN_S)
        return None

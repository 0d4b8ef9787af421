"""The control group of an environment, inside that of its tenant: processor, memory, tasks, disk I/O."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime import cpu_pools
from runtime.contract import EnvironmentSpec, TenantEnvelope, Usage
from runtime.contract.said import Said
from runtime.contract.words import advice, drift, refusals, steps
from runtime.errors import RuntimeFault
from runtime.glance import Glance
from runtime.host import task_room
from runtime.host.cgroup import LEAST_GROUPS, MOST_GROUPS, GroupLimits, groups
from runtime.node import Node
from runtime.resources.base import Found, Resource
from runtime.sandboxes.base import FREEZE_DEADLINE_S

MIB = 2**20
#: Where a group was found last, so that not all tenants' groups of all hierarchies are listed for each look.
_found: dict[tuple[str, UUID], str] = {}
_MOST_FOUND = 10_000


class Cgroup(Resource):
    name = "limits (cgroup)"

    def __init__(self, node: Node):
        super().__init__(node)
        self.groups = groups()

    def path(self, spec: EnvironmentSpec) -> str:
        return f"{self.node.cgroup_name}/{spec.tenant_id}/{spec.id}"

    def find(self, environment_id: UUID) -> str | None:
        """Path of the environment's group, whoever its tenant is; None when there is none."""
        key = self.node.cgroup_name, environment_id
        known = _found.get(key)
        if known is not None and self.groups.has_any(known):
            return known
        _found.pop(key, None)
        if len(_found) >= _MOST_FOUND:
            _found.clear()  # of environments that are gone nobody asks any more
        for tenant in self.groups.children(self.node.cgroup_name):
            path = f"{self.node.cgroup_name}/{tenant}/{environment_id}"
            if self.groups.has_any(path):
                _found[key] = path
                return path
        return None

    def check(self, spec: EnvironmentSpec) -> None:
        """What one is promised is never more than all together may have."""
        most = task_room.for_environments()
        if spec.limits.processes > most:
            raise RuntimeFault(
                refusals.too_many_processes(spec.limits.processes, most),
                code="too_many_tasks",
                next_step=advice.choose_fewer_processes(),
                retryable=False,
            )
        if spec.cpu_pool and not cpu_pools.known(self.node).of(spec.cpu_pool):
            raise RuntimeFault(refusals.no_such_pool(spec.cpu_pool), code="no_such_pool")

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        path = self.path(spec)
        made = self._create(path)
        tenant = self.tenant_limits(spec.envelope)
        try:
            self.groups.limit(path.rpartition("/")[0], tenant)
            self.groups.limit(path, self.environment_limits(spec))
        except OSError as refused:
            used = self.groups.usage(path).memory_bytes
            if used > spec.limits.memory_mb * MIB:
                raise RuntimeFault(
                    refusals.memory_below_used(spec.limits.memory_mb, used=used // MIB),
                    code="below_used",
                    next_step=advice.stop_something_inside(),
                ) from refused
            raise RuntimeFault(refusals.limit_refused(str(refused)), code="limit_refused") from refused
        self.groups.delegate(path, self.node.first_uid(spec.slot))
        return steps.control_group(self.groups.version) if made else None

    def _create(self, path: str) -> bool:
        """Again when the tenant's empty group was taken away in this moment, with its last environment."""
        for _ in range(5):
            with suppress(FileNotFoundError):
                return self.groups.create(path)
        return self.groups.create(path)

    def made_anew(self, spec: EnvironmentSpec) -> None:
        """After the OCI runtime put its process in: crun 1.8 lifts the limit of memory with swap (v1), and
        makes files anew as root. Init may divide its own group from its first instruction."""
        path = self.path(spec)
        self.groups.limit(path, self.environment_limits(spec))
        self.groups.delegate(path, self.node.first_uid(spec.slot))

    def tenant_limits(self, envelope: TenantEnvelope) -> GroupLimits:
        return GroupLimits(
            cpu=envelope.cpu,
            memory_bytes=envelope.memory_mb * MIB if envelope.memory_mb else None,
            swap_bytes=None if envelope.swap_mb is None else envelope.swap_mb * MIB,
            processes=envelope.processes,
        )

    def environment_limits(self, spec: EnvironmentSpec) -> GroupLimits:
        limits = spec.limits
        # v1 refuses a child that may use more processor time than its parent
        cpu = min(limits.cpu, spec.envelope.cpu) if spec.envelope.cpu else limits.cpu
        return GroupLimits(
            cpu=cpu,
            cpu_weight=limits.cpu_weight,
            memory_bytes=limits.memory_mb * MIB,
            swap_bytes=limits.swap_mb * MIB,
            processes=limits.processes,
            cpus=cpu_pools.processors_of(self.node, spec, cpu),
            device=pool_device(self.node),
            read_bytes_s=limits.disk_read_bytes_s,
            write_bytes_s=limits.disk_write_bytes_s,
            read_iops=limits.disk_read_iops,
            write_iops=limits.disk_write_iops,
            groups=max(LEAST_GROUPS, min(MOST_GROUPS, limits.memory_mb)),
        )

    def hold(self, specs: Sequence[EnvironmentSpec]) -> None:
        """Environments in between: v1 refuses a tenant less processor time than one of them may use."""
        parent = self.path(specs[0]).rpartition("/")[0]
        if not self.groups.has_any(parent):
            return
        limits = self.tenant_limits(specs[0].envelope)
        with suppress(OSError):
            self.groups.limit(parent, limits)
        try:
            for spec in specs:
                with suppress(FileNotFoundError):  # one that isn't running, or ends in this moment
                    if self.groups.has_any(self.path(spec)):
                        self.groups.limit(self.path(spec), self.environment_limits(spec))
            self.groups.limit(parent, limits)
        except OSError as refused:
            raise RuntimeFault(refusals.limit_refused(str(refused)), code="limit_refused") from refused

    def freeze(self, environment_id: UUID, frozen: bool, *, within_s: float = FREEZE_DEADLINE_S) -> None:
        """Raises `RuntimeFault` (`busy`) when not all of its processes can be, in time; they run on then."""
        path = self.find(environment_id)
        if path is None or self.groups.frozen(path) == frozen:
            return
        try:
            self.groups.freeze(path, frozen, within_s)
        except TimeoutError as late:
            with suppress(TimeoutError):
                self.groups.freeze(path, False, within_s)
            raise RuntimeFault(
                refusals.not_frozen(within_s),
                code="busy",
                next_step=advice.stop_it(),
            ) from late

    def frozen(self, environment_id: UUID) -> bool:
        path = self.find(environment_id)
        return path is not None and self.groups.frozen(path)

    def kill(self, environment_id: UUID) -> None:
        """Ends every process of the environment; a no-op when there is none."""
        path = self.find(environment_id)
        if path is not None:
            self.groups.kill(path)

    def usage(self, environment_id: UUID) -> Usage:
        """Processor, memory and tasks; all zeros when it doesn't run."""
        path = self.find(environment_id)
        if path is None:
            return Usage(environment_id=environment_id)
        seen = self.groups.usage(path)
        return Usage(
            environment_id=environment_id,
            cpu_ns=seen.cpu_ns,
            memory_bytes=seen.memory_bytes,
            memory_max_bytes=seen.memory_max_bytes,
            memory_hits=seen.memory_hits,
            swap_bytes=seen.swap_bytes,
            processes=seen.processes,
            process_hits=seen.process_hits,
            oom_kills=seen.oom_kills,
        )

    def remove(self, environment_id: UUID) -> Said | None:
        path = self.find(environment_id)
        if path is not None:
            self.groups.kill(path)
            try:
                self.groups.remove(path)
            except OSError as busy:
                raise RuntimeFault(refusals.group_busy(str(busy.strerror)), code="busy") from busy
        # it may be gone already, so its tenant's isn't known by then
        for tenant in self.groups.children(self.node.cgroup_name):
            if not self.groups.children(f"{self.node.cgroup_name}/{tenant}"):
                with suppress(OSError):  # a sibling came in this moment
                    self.groups.remove(f"{self.node.cgroup_name}/{tenant}")
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        path = self.find(environment_id)
        if path is None:
            return None
        return {"path": path, "version": self.groups.version, **self.groups.limits(path)}

    def inventory(self) -> Iterable[Found]:
        for tenant in self.groups.children(self.node.cgroup_name):
            for name in self.groups.children(f"{self.node.cgroup_name}/{tenant}"):
                if (self.node.mounts / name).is_dir():
                    continue  # a program of the node's own, for this tenant: see `apart`
                try:
                    owner: UUID | None = UUID(name)
                except ValueError:
                    owner = None
                yield Found(self.name, owner, f"{tenant}/{name}")

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        path = self.path(spec)
        if path not in glance.once("control groups", lambda: self.groups.whole(self.node.cgroup_name)):
            return drift.group_gone()
        seen = self.groups.promised(path)
        expected = str(spec.limits.memory_mb * MIB)
        if expected not in (seen.get("memory.limit_in_bytes"), seen.get("memory.max")):
            return drift.memory_limit_changed()
        if not self.swap_is_held(seen, spec):
            return drift.swap_limit_changed()
        if seen.get("cpuset.cpus", "") not in ("", self.environment_limits(spec).cpus):
            return drift.processors_changed()
        if seen.get("pids.max") != str(spec.limits.processes):
            return drift.process_limit_changed()
        return None

    @staticmethod
    def swap_is_held(seen: Mapping[str, str], spec: EnvironmentSpec) -> bool:
        """v1 counts memory and swap together, v2 swap alone; a kernel without either has nothing to hold."""
        limits = spec.limits
        both = seen.get("memory.memsw.limit_in_bytes") or str((limits.memory_mb + limits.swap_mb) * MIB)
        alone = seen.get("memory.swap.max") or str(limits.swap_mb * MIB)
        return both == str((limits.memory_mb + limits.swap_mb) * MIB) and alone == str(limits.swap_mb * MIB)


def pool_device(node: Node) -> str | None:
    """`major:minor` of the device below the pool, for limits on disk I/O; None when it can't be told."""
    try:
        return _device_below(str(node.store), node.store.stat().st_dev)
    except OSError:
        return None


@lru_cache(maxsize=8)
def _device_below(store: str, mounted: int) -> str | None:
    """Read anew when something else is `mounted` there: the table of mounts is long."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split()
        if words[4] == store:
            source = words[words.index("-") + 2]
            try:
                number = Path(source).stat().st_rdev
            except OSError:
                return None
            return f"{os.major(number)}:{os.minor(number)}"
    return None

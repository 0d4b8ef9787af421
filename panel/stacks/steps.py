"""One look at a stack whose operation is open: each verb does what can be done now, and says what it awaits."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone

from panel import words
from panel.environments import services as environments
from panel.environments.models import Environment
from panel.networks.services import forward_ports
from panel.operations import services as operations
from panel.operations.models import Operation, OperationState
from panel.rights.actor import Actor
from panel.stacks import names
from panel.stacks.compose import Condition, Mount, Project
from panel.stacks.joining import FIELD, Place
from panel.stacks.models import Member, Stack, StackVolume, Wanted
from panel.stacks.ready import Failed, has_ended, has_started, is_healthy, refuse_failed
from panel.stacks.rolling import turns
from panel.stacks.wanted import Copy, copies_of, name_of
from panel.volumes import services as volumes
from panel.volumes.models import Volume, VolumeState
from runtime.contract import DesiredState, StepState

__all__ = ["Failed", "Pass"]

#: Of a stack's environments, told to go or begin in one look, so that nothing else waits long.
_MOST_AT_ONCE = 10


class Pass:
    """The stack's row is locked; everything else is read anew."""

    def __init__(self, stack: Stack, project: Project, operation: Operation, actor: Actor) -> None:
        self.stack, self.project, self.operation, self.actor = stack, project, operation, actor
        self.copies = copies_of(stack, project)
        self.waiting: list[str] = []
        """Names of what it waits for."""
        self.later: list[Member] = []
        """Those that are made anew when others were."""
        self._steps: dict[str, StepState] = {}
        self._read()

    def _read(self) -> None:
        rows = self.stack.members.select_related("environment__tenant", "environment__node")
        self.members = {(one.service, one.number): one for one in rows}
        self.volumes = {one.key: one for one in self.stack.volumes.select_related("volume")}

    def go(self) -> bool:
        """Whether nothing is left to be done."""
        if self.stack.wanted == Wanted.DELETED:
            return self._take_all_away()
        if self.stack.wanted == Wanted.STOPPED:
            return self._stop_all()
        is_clear = self._take_away()
        has_volumes = self._make_volumes()
        if not is_clear or not has_volumes:
            return False
        if not self._make():
            return False
        is_done = self._start()
        for member in self.later:
            is_done = self._step(member.environment.name, is_done=False)
        return is_done

    def note(self) -> None:
        """What it is at, into the operation."""
        before = {one["name"]: one for one in self.operation.steps}
        now = timezone.now()
        steps = []
        for name, state in self._steps.items():
            known = before.get(name, {})
            began = known.get("started_at") or now.isoformat()
            step = {"name": name, "verb": "do", "state": state.value, "started_at": began, "duration_ms": 0.0}
            if known.get("state") == state.value:
                step["duration_ms"] = known["duration_ms"]
            elif state is StepState.DONE:
                step["duration_ms"] = round((now - _moment(began, now)).total_seconds() * 1000, 1)
            steps.append(step)
        done = sum(one is StepState.DONE for one in self._steps.values())
        operation = self.operation
        told = words.waits_for(", ".join(self.waiting[:5])) if self.waiting else words.nothing_left()
        if steps == operation.steps and operation.state != OperationState.PENDING:
            return
        operation.steps, operation.progress = steps, done / max(1, len(steps))
        operation.doing, operation.state = told, OperationState.RUNNING
        operation.started_at = operation.started_at or now
        operation.save(update_fields=["steps", "progress", "doing", "state", "started_at"])
        operations.announce(operation)

    def _step(self, name: str, *, is_done: bool) -> bool:
        self._steps[name] = StepState.DONE if is_done else StepState.RUNNING
        if not is_done:
            self.waiting.append(name)
        return is_done

    # going

    def _take_away(self) -> bool:
        """Those that nobody wants any more, and those that are made anew; in the reverse order of starting."""
        going, self.later = turns({one.key: one for one in self.copies}, self.members, self.stack.changed_at)
        return self._delete(going)

    def _take_all_away(self) -> bool:
        if not self._delete(list(self.members.values())):
            return False
        if not self.operation.details.get("volumes"):
            return True
        is_clear = True
        for one in self.volumes.values():
            volume = one.volume
            is_clear = self._step(volume.name, is_done=False)
            if not volume.is_going and volume.state == VolumeState.READY:
                volumes.delete_volume(self.actor, volume.pk)
        return is_clear

    def _delete(self, members: list[Member]) -> bool:
        order = {service.name: number for number, service in enumerate(self.project.services)}
        members.sort(key=lambda one: (-order.get(one.service, -1), -one.number))
        for member in members[:_MOST_AT_ONCE]:
            row = member.environment
            self._step(row.name, is_done=False)
            if row.desired_state != DesiredState.DELETED:
                environments.delete_environment(self.actor, row.pk, now=True)
            else:
                refuse_failed(row)
        return not members

    def _stop_all(self) -> bool:
        """One layer after another: whoever waits for others ends before them."""
        order = [one.key for one in self.copies]
        rank = {key: number for number, key in enumerate(order)}
        rows = sorted(self.members.items(), key=lambda item: -rank.get(item[0], -1))
        is_done = True
        for (service, _number), member in rows:
            row = member.environment
            is_stopped = row.desired_state == DesiredState.STOPPED and row.is_settled
            if not self._step(row.name, is_done=is_stopped):
                is_done = False
                if row.desired_state != DesiredState.STOPPED and not self._is_needed(service):
                    environments.stop(self.actor, row.pk)
                elif row.desired_state == DesiredState.STOPPED:
                    refuse_failed(row)
        return is_done

    def _is_needed(self, service: str) -> bool:
        """Whether somebody who waits for it isn't stopped yet."""
        users = {one.name for one in self.project.services if service in one.waits}
        return any(
            not (one.environment.desired_state == DesiredState.STOPPED and one.environment.is_settled)
            for one in self.members.values()
            if one.service in users
        )

    # coming

    def _make_volumes(self) -> bool:
        is_ready = True
        for wanted in self.project.volumes:
            name = wanted.external or name_of(self.stack.name, wanted.key, 0).removesuffix("-0")
            row = Volume.objects.filter(tenant=self.stack.tenant, name=name).first()
            if row is None:
                size_mb = wanted.size_mb or self.stack.volume_mb
                node = self.stack.node.name
                values: dict[str, Any] = {"size_mb": size_mb, "node": node, "is_shared": wanted.is_shared}
                row, _operation = volumes.create_volume(self.actor, self.stack.tenant, name=name, **values)
            elif wanted.is_shared and not row.is_shared and not wanted.external:
                row, _operation = volumes.change_volume(self.actor, row.pk, is_shared=True)[0], None
            if not wanted.external and wanted.key not in self.volumes:
                StackVolume.objects.filter(volume=row).delete()
                StackVolume.objects.create(stack=self.stack, volume=row, key=wanted.key)
            is_ready &= self._step(row.name, is_done=row.state == VolumeState.READY)
        return is_ready

    def _make(self) -> bool:
        """All of them stopped: each has its addresses, and its image is there, before the first begins."""
        lacking = [one for one in self.copies if one.key not in self.members]
        for copy in lacking[:_MOST_AT_ONCE]:
            self._create(copy)
        self._read()
        is_made = True
        for copy in self.copies:
            member = self.members.get(copy.key)
            if member is None:
                is_made = False
                continue
            row = member.environment
            if row.observed_generation == 0:
                refuse_failed(row)
                is_made = self._step(row.name, is_done=False)
        return is_made

    def _create(self, copy: Copy) -> None:
        service, stack = copy.service, self.stack
        is_addressed = None if service.has_network else 0
        limits = {**stack.limits, **service.limits}
        options: dict[str, Any] = {
            "restart": {"mode": service.restart},
            "stop_timeout_s": service.stop_timeout_s,
        }
        if service.nameservers:
            options["network"] = {"nameservers": list(service.nameservers)}
        if service.devices:
            options["devices"] = list(service.devices)
        environments.create_environment(
            self.actor,
            stack.tenant,
            name=copy.name,
            image=service.image,
            kind="app",
            plan=stack.plan,
            limits=limits or None,
            ipv4=is_addressed,
            ipv6=is_addressed,
            is_started=False,
            features={"node": stack.node_id, FIELD: Place(stack, copy)},
            app={
                **service.app,
                "secrets": dict(service.secrets),
                "ports": self._ports(copy),
                "volumes": [self._mount(one) for one in service.mounts],
            },
            **options,
        )

    def _ports(self, copy: Copy) -> list[dict[str, Any]]:
        """The node's port as the file has it, where its range has that one and there is one copy."""
        allowed = forward_ports(self.stack.node)
        found: list[dict[str, Any]] = []
        for one in copy.service.ports:
            port: dict[str, Any] = {"port": one.port, "protocol": one.protocol}
            if one.node_port in allowed and copy.service.replicas == 1:
                port["node_port"] = one.node_port
            found.append(port)
        return found

    def _mount(self, mount: Mount) -> Mapping[str, Any]:
        wanted = next(one for one in self.project.volumes if one.key == mount.volume)
        name = wanted.external or name_of(self.stack.name, wanted.key, 0).removesuffix("-0")
        return {"volume": name, "path": mount.path, "read_only": mount.read_only}

    def _start(self) -> bool:
        wanted = names.names_of(self.project, self.members.values())
        is_done = True
        for copy in self.copies:
            member = self.members[copy.key]
            row = member.environment
            if has_started(row):
                self._step(row.name, is_done=True)
                continue
            is_done = self._step(row.name, is_done=False)
            refuse_failed(row)
            if row.desired_state == DesiredState.STOPPED and self._may_start(copy):
                environments.locked(self.actor, row.pk)
                names.keep(member, wanted.get(member.service, {}))
                environments.start(self.actor, row.pk)
        names.tell(self.stack, self.project, list(self.members.values()))
        return is_done

    def _may_start(self, copy: Copy) -> bool:
        return all(
            self._is_met(other, wait.condition)
            for name, wait in copy.service.waits.items()
            for other in self._of_service(name)
        )

    def _of_service(self, name: str) -> list[Environment]:
        return [one.environment for one in self.members.values() if one.service == name]

    def _is_met(self, row: Environment, condition: Condition) -> bool:
        if condition is Condition.HEALTHY:
            return is_healthy(row)
        if condition is Condition.COMPLETED:
            return has_ended(row)
        return has_started(row)


def _moment(text: str, now: Any) -> Any:
    try:
        return type(now).fromisoformat(text)
    except ValueError:
        return now - timedelta(0)

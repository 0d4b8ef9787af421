"""A node on paper, in one process: `python -m tests.paper.node --home HOME`.

It takes what the panel sends from its queue, has the real engine bring it about on paper, reports, and serves
the agent's socket. Its memory is the process: what should run is brought back from the records at a start.
"""

import argparse
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid5

import structlog
import uvicorn
from celery import Celery

from panel.live.server import listen
from runtime import logs, work
from runtime.agent.app import Agent
from runtime.agent.outbox import Outbox
from runtime.clock import sequence
from runtime.contract import (
    NODE_APPLY,
    NODE_CPU_POOLS,
    NODE_DEVICES,
    NODE_JOB,
    NODE_LOOK,
    NODE_SURVEY,
    PANEL_OBSERVE,
    PANEL_OBSERVE_JOB,
    PANEL_OBSERVE_NODE,
    PANEL_OBSERVE_USAGE,
    AllowedDevice,
    AllowedDevices,
    BackupServer,
    BuildImage,
    CpuPools,
    DeleteImage,
    DeviceClass,
    DeviceState,
    EnvironmentSpec,
    HeldDevices,
    HoldTenants,
    JobOutcome,
    JobReport,
    JobSpec,
    NodeFacts,
    NodeReport,
    Report,
    SeenDevice,
    Step,
    StepState,
    Survey,
    UsageReport,
    node_queue,
)
from runtime.contract import Kind as KindName
from runtime.contract.environment import Device, Kernel
from runtime.contract.jobs import VolumeWork
from runtime.contract.transport import CONNECT_S, TakeBack, transport_options
from runtime.contract.words import devices as device_words
from runtime.engine import Engine
from runtime.jobs.runner import Jobs
from runtime.jobs.tenants import Hold
from runtime.kinds import Toolbox
from runtime.known import known_environments
from runtime.node import Node, NodeSettings, default_settings
from runtime.state import Records
from tests.paper.consoles import PaperInside
from tests.paper.host import papers
from tests.paper.kind import DevKind, DevSandbox, Host

log = structlog.get_logger()

NAME = "paper-1"
USAGE_EVERY_S, NODE_EVERY_S = 5.0, 5.0
#: Environments worked on at once.
_AT_ONCE = 16
_IMAGES = ("busybox", "debian-12")
_GIB = 2**30


#: A serial port and a camera.
_DEVICES = (
    SeenDevice(path="/dev/ttyUSB0", sort=DeviceClass.SERIAL, number="188:0", udev=("ID_SERIAL=Paper_Port_1",)),
    SeenDevice(path="/dev/video0", sort=DeviceClass.VIDEO, number="81:0", udev=("ID_SERIAL=Paper_Camera_1",)),
)


def _state(one: AllowedDevice) -> DeviceState:
    for seen in _DEVICES:
        if one.path == seen.path or (one.udev and set(one.udev) <= set(seen.udev)):
            return DeviceState(name=one.name, sort=seen.sort, number=seen.number)
    return DeviceState(name=one.name, why_not=device_words.not_there())


class PaperNode:
    """The engine on paper, and what reports of it."""

    def __init__(self, node: Node, app: Celery):
        self.node = node
        self.host = Host()
        papers[node.home] = self.host
        self.inside = self.host.inside = PaperInside(node, self._ended)
        tools = Toolbox(node, kinds={KindName.SYSTEM: DevKind()}, sandboxes=[DevSandbox(self.host, node)])
        self.engine = Engine(node, self.report, tools=tools)
        self.outbox = Outbox(app, node)
        self.images = node.store / "images"
        self.pools = CpuPools()
        self.devices = AllowedDevices()
        self.cancelled: set[UUID] = set()
        """Jobs that are to be dropped."""
        self.pool = ThreadPoolExecutor(_AT_ONCE)

    def report(self, report: Report) -> None:
        self.outbox.send(("report", report.environment_id), PANEL_OBSERVE, report.model_dump(mode="json"))

    def begin(self) -> None:
        """Brings back what should be there, and tells of itself from now on."""
        self.outbox.start()
        for environment_id in known_environments(self.node):
            self.pool.submit(_logged, lambda one=environment_id: self.engine.again(one))
        for seconds, tell in ((NODE_EVERY_S, self.tell_node), (USAGE_EVERY_S, self.tell_usage)):
            threading.Thread(target=_every, args=(seconds, tell), daemon=True).start()

    def look(self, environment_id: UUID) -> None:
        with Records(self.node, environment_id).try_lock() as free:
            found = self.engine.current_report(environment_id) if free else None
        if found is not None:
            self.report(found)

    def _ended(self, environment_id: UUID, exit_code: int) -> None:
        """From inside: it went off, or starts anew."""

        def act() -> None:
            time.sleep(0.3)
            self.inside.halt(environment_id)
            self.host.objects.pop(("init process", environment_id), None)
            delay = self.engine.on_exit(environment_id, exit_code)
            if delay is not None:
                time.sleep(delay)
                self.engine.again(environment_id)

        self.pool.submit(_logged, act)

    def hold_pools(self, pools: CpuPools) -> None:
        self.pools = pools
        self.tell_node()

    def allow_devices(self, devices: AllowedDevices) -> None:
        self.devices = devices
        self.tell_node()

    # of itself -----------------------------------------------------------------------------------

    def tell_node(self) -> None:
        known = tuple(known_environments(self.node))
        report = NodeReport(
            at=datetime.now(UTC),
            facts=self.facts(),
            environments=len(known),
            survey=Survey(at=datetime.now(UTC), known=known),
        )
        self.outbox.put("node", PANEL_OBSERVE_NODE, report.model_dump(mode="json"), fresh_s=2 * NODE_EVERY_S)

    def tell_usage(self) -> None:
        tools = self.engine.tools
        usages = [
            tools.sandbox.usage(one).model_copy(
                update={
                    "state": self.engine.reports.observe(one)[0],
                    "generation": Records(self.node, one).state().applied,
                }
            )
            for one in known_environments(self.node)
        ]
        report = UsageReport(node=self.node.name, at=datetime.now(UTC), usages=tuple(usages))
        fresh_s = 3 * USAGE_EVERY_S
        self.outbox.put("usage", PANEL_OBSERVE_USAGE, report.model_dump(mode="json"), fresh_s=fresh_s)

    def facts(self) -> NodeFacts:
        """Of a middling server."""
        settings = self.node.settings
        return NodeFacts(
            name=self.node.name,
            version="0.1.0",
            kernel_release="6.12.0-paper",
            distribution="Debian GNU/Linux 12 (on paper)",
            cgroup_version=2,
            cpus=16,
            memory_bytes=64 * _GIB,
            memory_available_bytes=41 * _GIB,
            pool_bytes=800 * _GIB,
            pool_used_bytes=210 * _GIB,
            load_1m=2.4,
            ipv4_network=settings.ipv4_network,
            ipv6_network=settings.ipv6_network,
            first_slot=settings.first_slot,
            slots=settings.slots,
            tasks=100_000,
            forward_ports=self.node.forward_ports,
            kinds=(KindName.SYSTEM,),
            kernels=(Kernel.SHARED,),
            devices=tuple(Device),
            seen_devices=_DEVICES,
            host_devices=HeldDevices(
                revision=self.devices.revision, devices=tuple(_state(one) for one in self.devices.devices)
            ),
            images=tuple(sorted(one.name for one in self.images.iterdir())),
            backup_directory=True,
            backup_server=BackupServer(host="192.0.2.2", port=8443, certificate="(of a node on paper)"),
            cpu_pools=self.pools,
            boot_id=uuid5(NAMESPACE_DNS, str(self.node.home)),
        )

    def _tell_of_job(self, report: JobReport) -> None:
        self.outbox.send(("job", report.id), PANEL_OBSERVE_JOB, report.model_dump(mode="json"))

    def do(self, spec: JobSpec) -> None:
        """Three seconds to build an image; none of a name with `fails` is ever made."""
        began = datetime.now(UTC)

        def tell(outcome: JobOutcome | None, state: StepState, **more: Any) -> None:
            now = datetime.now(UTC)
            took_ms = (now - began).total_seconds() * 1000
            step = Step(name="image tree", verb="do", state=state, started_at=began, duration_ms=took_ms)
            report = JobReport(
                node=self.node.name,
                id=spec.id,
                about=spec.about,
                operation_id=spec.operation_id,
                sequence=sequence(self.node),
                at=now,
                outcome=outcome,
                steps=(step,),
                **more,
            )
            self._tell_of_job(report)

        if spec.is_cancelled:
            self.cancelled.add(spec.id)
            return
        work = spec.work
        if isinstance(work, HoldTenants):
            kinds = {work.kind: Hold(lambda _: self.engine.tools)}
            Jobs(self.node, kinds, self._tell_of_job, of_environment=self.report).do(spec)
        elif isinstance(work, DeleteImage):
            if (self.images / work.image.name).exists():
                (self.images / work.image.name).rmdir()
            tell(JobOutcome.SUCCEEDED, StepState.DONE)
        elif isinstance(work, VolumeWork):
            tell(JobOutcome.SUCCEEDED, StepState.DONE)
        elif isinstance(work, BuildImage):
            for part in range(1, 6):
                if spec.id in self.cancelled:
                    tell(JobOutcome.CANCELLED, StepState.FAILED)
                    return
                tell(None, StepState.RUNNING, progress=part / 6)
                time.sleep(0.6)
            if "fails" in work.image.name:
                why = "The archive holds no file system."
                tell(JobOutcome.FAILED, StepState.FAILED, code="archive_refused", message=why)
                return
            (self.images / work.image.name).mkdir(exist_ok=True)
            tell(JobOutcome.SUCCEEDED, StepState.DONE, bytes=180 * 2**20, progress=1.0)
        else:
            why = f"A node on paper does no job of the kind {work.kind}."
            tell(JobOutcome.FAILED, StepState.FAILED, code="job_unavailable", message=why)


def _every(seconds: float, act: Callable[[], object]) -> None:
    while True:
        _logged(act)
        time.sleep(seconds)


def _logged(act: Callable[[], object]) -> None:
    try:
        act()
    except Exception:  # the edge of a thread
        log.exception("failed")


class _NoWatchdog:
    """Nothing on paper hangs in the kernel."""

    def watch(self, *_: object) -> Any:
        return threading.Lock()


def prepared(home: Path) -> Node:
    """The node's directories, settings and keys. The panel's secrets must be there."""
    settings = default_settings(home).model_copy(
        update={
            "name": NAME,
            "ipv4_network": IPv4Network("10.88.0.0/16"),
            "ipv6_network": IPv6Network("fd88:0:0:58::/64"),
            "slots": 2048,
            "first_slot": 0,
        }
    )
    node = Node(home, NodeSettings.model_validate(settings.model_dump()))
    for directory in ("environments", "tombstones"):
        (node.root / directory).mkdir(parents=True, exist_ok=True)
    for name in _IMAGES:
        (node.store / "images" / name).mkdir(parents=True, exist_ok=True)
    trusted = home / "etc" / "nodes" / f"{NAME}.key"
    for directory in (node.run, node.exits, node.pending, trusted.parent):
        directory.mkdir(parents=True, exist_ok=True)
    if not node.report_key.exists():
        node.report_key.write_text(os.urandom(32).hex())
    trusted.write_bytes(node.report_key.read_bytes())
    node.ticket_key.write_bytes((home / "panel" / "ticket.pub").read_bytes())
    return node


def celery_of(node: Node) -> Celery:
    queue = node_queue(node.name)
    app = Celery("paper", fixups=[])
    app.conf.update(
        broker_url=f"redis+socket://{node.run / 'redis.sock'}",
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=CONNECT_S,
        broker_transport_options=transport_options(queue, visibility_s=600),
        task_acks_late=True,
        task_create_missing_queues=True,
        task_default_queue=queue,
        task_ignore_result=True,
        worker_consumer="runtime.contract.transport:Consumer",
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
    )
    app.steps["consumer"].add(TakeBack)
    return app


def take(app: Celery, paper: PaperNode) -> None:
    """The tasks of a node."""

    def apply(document: dict[str, Any]) -> None:
        paper.engine.apply(EnvironmentSpec.model_validate(document))

    def look(documents: list[str]) -> None:
        for text in documents:
            paper.look(UUID(text))

    def do(document: dict[str, Any]) -> None:
        paper.do(JobSpec.model_validate(document))

    def hold_pools(document: dict[str, Any]) -> None:
        paper.hold_pools(CpuPools.model_validate(document))

    def allow_devices(document: dict[str, Any]) -> None:
        paper.allow_devices(AllowedDevices.model_validate(document))

    tasks = {
        NODE_APPLY: apply,
        NODE_CPU_POOLS: hold_pools,
        NODE_DEVICES: allow_devices,
        NODE_LOOK: look,
        NODE_SURVEY: paper.tell_node,
        NODE_JOB: do,
    }
    for name, act in tasks.items():
        app.task(act, name=name)


def main() -> None:
    parser = argparse.ArgumentParser(description="A node on paper")
    parser.add_argument("--home", type=Path, required=True)
    options = parser.parse_args()
    logs.configure()
    os.umask(0o077)
    work.watchdog = _NoWatchdog()  # type: ignore[assignment]
    node = prepared(options.home)
    app = celery_of(node)
    paper = PaperNode(node, app)
    take(app, paper)
    paper.begin()
    agent = Agent(node, paper.pool, paper.pool, paper.inside).application()
    config = uvicorn.Config(agent, ws="websockets-sansio", access_log=False, log_level="warning")
    serving = uvicorn.Server(config)
    threading.Thread(target=serving.run, args=([listen(node.agent_socket)],), daemon=True).start()
    words = ["worker", "--pool=threads", f"--concurrency={_AT_ONCE}", f"--queues={node_queue(node.name)}"]
    quiet = ["--loglevel=warning", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main([*words, f"--hostname=node@{node.name}", *quiet])
    os._exit(0)  # threads that linger have nothing to lose


if __name__ == "__main__":
    main()

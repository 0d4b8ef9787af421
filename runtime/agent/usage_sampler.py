"""Samples what environments use, and the node's own facts, for the panel."""

import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import structlog

from runtime.agent import ptys
from runtime.agent.limit_rules import LimitRules
from runtime.agent.outbox import Outbox
from runtime.contract import (
    PANEL_OBSERVE,
    PANEL_OBSERVE_NODE,
    PANEL_OBSERVE_USAGE,
    InterfaceUse,
    Kernel,
    Report,
    Survey,
    Usage,
    UsageReport,
    VolumeUse,
)
from runtime.engine import Engine
from runtime.events import note_rule
from runtime.known import known_environments
from runtime.node import Node
from runtime.resources.volume import RootVolume
from runtime.storage.volumes import Volumes
from runtime.survey import node_report, survey

log = structlog.get_logger()

USAGE_EVERY_S = 5.0
HEARTBEAT_EVERY_S = 10.0
#: Between two heartbeats, how often it is looked whether an image came or went, which is told at once.
NODE_EVERY_S = 1.0
#: A survey reads every resource's inventory.
SURVEY_EVERY_S = 30.0
_USAGES_PER_REPORT = 5_000


class Sampler:
    """`run` belongs to a thread of its own."""

    def __init__(self, node: Node, outbox: Outbox):
        self._node = node
        self._outbox = outbox
        self._volume = RootVolume(node)
        self._volumes = Volumes(node)
        self._leaks = 0
        self._survey: Survey | None = None
        self._engine = Engine(node)
        self._reports = self._engine.reports
        self._surveying = Engine(node)  # of another thread
        self._images: list[str] = []
        self._told_at = 0.0
        self._link_numbers: dict[str, int] = {}
        self._rules = LimitRules(self._reports.sandbox.members)
        self._telling = Engine(node, self._tell).reports

    def usage(self) -> list[Usage]:
        """Of every environment of this node; one that vanishes meanwhile is left out."""
        links = link_bytes(Path("/proc/thread-self/net/dev").read_text())
        self._link_numbers = {name: number for number, name in socket.if_nameindex()}
        found = []
        for environment_id in known_environments(self._node):
            try:
                found.append(self._of(environment_id, links))
            except OSError as gone:
                log.info("not sampled", environment=str(environment_id), error=str(gone))
        return found

    def _of(self, environment_id: UUID, links: dict[str, tuple[int, int]]) -> Usage:
        return self._reports.sandbox.usage(environment_id).model_copy(
            update={
                "state": self._reports.observe(environment_id)[0],
                "generation": self._engine.reconciler.known(environment_id).state().applied,
                "disk_bytes": self._volume.used_bytes(environment_id),
                "interfaces": (self._interface_use(environment_id, links),),
            }
        )

    def _interface_use(self, environment_id: UUID, links: dict[str, tuple[int, int]]) -> InterfaceUse:
        name = self._node.link_name(environment_id)
        # what the host's side receives, the environment sent
        sent, received = links.get(name, (0, 0))
        return InterfaceUse(link=self._link_numbers.get(name, 0), in_bytes=received, out_bytes=sent)

    def send_usage(self) -> None:
        self.watch_terminals()
        usages = self.usage()
        self.follow_rules(usages)
        volumes = [
            VolumeUse(volume_id=one, bytes=self._volumes.used_bytes(one)) for one in self._volumes.there()
        ]
        for start in range(0, max(len(usages), len(volumes)), _USAGES_PER_REPORT):
            report = UsageReport(
                node=self._node.name,
                at=datetime.now(UTC),
                usages=tuple(usages[start : start + _USAGES_PER_REPORT]),
                volumes=tuple(volumes[start : start + _USAGES_PER_REPORT]),
            )
            self._outbox.put(
                ("usage", start), PANEL_OBSERVE_USAGE, report.model_dump(mode="json"), fresh_s=3 * USAGE_EVERY_S
            )

    def follow_rules(self, usages: list[Usage]) -> None:
        for usage in self._rules.in_turn(usages):
            records = self._engine.reconciler.known(usage.environment_id)
            spec = records.wanted()
            if spec is None or not spec.limit_rules:
                continue
            # on another kernel the host sees none of its processes, but that kernel
            is_seen = spec.runs_on is Kernel.SHARED
            told = self._rules.look(usage, spec.limit_rules, time.monotonic(), may_signal=is_seen)
            for rule, amount, name in told:
                note_rule(records, self._telling, rule, amount, name)

    def _tell(self, report: Report) -> None:
        self._outbox.send(("report", report.environment_id), PANEL_OBSERVE, report.model_dump(mode="json"))

    def send_node(self) -> None:
        """A heartbeat when one is due, or when the images of the node changed."""
        images = sorted(entry.name for entry in (self._node.store / "images").iterdir())
        survey, self._survey = self._survey, None
        if survey is None and images == self._images and time.monotonic() - self._told_at < HEARTBEAT_EVERY_S:
            return
        self._images, self._told_at = images, time.monotonic()
        report = node_report(self._node, self._leaks, survey)
        self._outbox.put(
            "node", PANEL_OBSERVE_NODE, report.model_dump(mode="json"), fresh_s=2 * HEARTBEAT_EVERY_S
        )

    def watch_terminals(self) -> None:
        if ptys.are_short():
            ptys.relieve(self._node)

    def survey(self) -> None:
        """For the next heartbeat, which follows within a second. Belongs to a thread of its own: it may take
        ten seconds."""
        found = survey(self._node, self._surveying)
        self._leaks, self._survey = len(found.leaks), found


def link_bytes(table: str) -> dict[str, tuple[int, int]]:
    """Link name to (bytes received, bytes sent), from the text of /proc/net/dev."""
    found = {}
    for line in table.splitlines()[2:]:
        name, _, rest = line.partition(":")
        words = rest.split()
        found[name.strip()] = (int(words[0]), int(words[8]))
    return found

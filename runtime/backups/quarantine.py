"""A quarantine: a system made of a backup, apart and without a network, to see whether it starts.

One at a time on a node, under user ids that no environment has.
"""

import fcntl
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from runtime.console.exec import run_command
from runtime.console.log import tail
from runtime.contract import (
    BootSeen,
    DesiredState,
    EnvironmentSpec,
    Network,
    Origin,
    ProveBackup,
    Report,
    RestartMode,
    RestartPolicy,
)
from runtime.contract.said import Said
from runtime.contract.words import backups as words
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.node import Node
from runtime.sandboxes import sandbox_of
from runtime.state import Records

#: A system with much to do at its start is waited for so long; then so long for its probe to end well.
START_S, PROBE_S = 300.0, 60.0
_LOOK_S, _ASK_S, _REMOVAL_S = 0.5, 10.0, 60.0
_LINES, _MOST_SCREEN = 40, 8000
#: Up: systemd has reached what it starts by default, OpenRC its runlevel. Of others, that a shell answers.
_IS_UP = """
if [ -d /run/systemd/system ]; then
  systemctl is-active --quiet multi-user.target || systemctl is-active --quiet default.target
elif [ -d /run/openrc ]; then
  [ -e /run/openrc/softlevel ] && [ ! -e /run/openrc/rc.starting ]
fi
"""
#: ECMA-48: what moves, colours and titles.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])")

GoOn = Callable[[int], None]
"""Told how many seconds it has been waited; ends the waiting by raising."""


@dataclass(frozen=True)
class Quarantine:
    node: Node
    work: ProveBackup

    def spec(self, generation: int) -> EnvironmentSpec:
        """Nothing of it comes from whoever asked but image, limits, and what the backup holds."""
        work = self.work
        return EnvironmentSpec(
            id=work.environment_id,
            tenant_id=work.tenant_id,
            node=self.node.name,
            name="proof",
            generation=generation,
            kernel=work.kernel,
            image=work.image,
            desired=DesiredState.RUNNING,
            slot=self.node.quarantine_slot,
            limits=work.limits.model_copy(update={"cpu_weight": 1}),
            network=Network(closed=True),
            restart=RestartPolicy(mode=RestartMode.NEVER),
            origin=Origin(environment_id=work.environment_id, snapshot=work.backup, backup=work.source),
            stop_timeout_s=0,
            deadline_s=3600,
        )

    def make(self, go_on: GoOn) -> None:
        """Its files come first, which may take long. Raises `RuntimeFault` with what its apply failed of."""
        reports, records = list[Report](), Records(self.node, self.work.environment_id)
        known = records.wanted()
        if known is not None and known.desired is DesiredState.DELETED:  # cut off while it went
            self.remove()
            known = None
        spec = self.spec(known.generation if known is not None else records.tombstone() + 1)
        engine = Engine(self.node, reports.append)
        applying = threading.Thread(target=engine.apply, args=(spec,), daemon=True)
        begun = time.monotonic()
        applying.start()
        while applying.is_alive():
            go_on(int(time.monotonic() - begun))
            applying.join(_LOOK_S)
        _raise_what(reports[-1] if reports else None)

    def remove(self) -> None:
        """A no-op when it is gone. Raises `RuntimeFault` for what can't go now."""
        records, until = Records(self.node, self.work.environment_id), time.monotonic() + _REMOVAL_S
        known = records.wanted()
        if known is None:
            return
        is_going = known.desired is DesiredState.DELETED
        spec = self.spec(known.generation if is_going else known.generation + 1)
        deleted = spec.model_copy(update={"desired": DesiredState.DELETED})
        _raise_what(Engine(self.node).apply(deleted))
        while records.wanted() is not None:  # who was at work on it takes the deletion up
            if time.monotonic() > until:
                raise RuntimeFault(words.not_removed(), code="busy")
            time.sleep(_LOOK_S)

    def seen_up(self, go_on: GoOn) -> float:
        """After so many seconds. Raises `RuntimeFault` (`not_started`) when it isn't in time, or ended."""
        sandbox, begun = sandbox_of(self.node), time.monotonic()
        while True:
            waited = time.monotonic() - begun
            if not sandbox.look(self.work.environment_id).is_up:
                raise _failed(words.ended_at_start(), "not_started")
            if self._answers(("/bin/sh", "-c", _IS_UP))[0]:
                return round(time.monotonic() - begun, 1)
            if waited > START_S:
                raise _failed(words.not_started(int(START_S)), "not_started")
            go_on(int(waited))
            time.sleep(_LOOK_S)

    def probed(self, go_on: GoOn) -> None:
        """A no-op without a probe. Services may need a moment after the start: it is asked until it is well."""
        begun = time.monotonic()
        while self.work.probe:
            is_well, said = self._answers(self.work.probe)
            if is_well:
                return
            waited = time.monotonic() - begun
            if waited > PROBE_S:
                raise _failed(words.probe_failed(said), "probe_failed")
            go_on(int(waited))
            time.sleep(_LOOK_S)

    def _answers(self, command: tuple[str, ...]) -> tuple[bool, str]:
        try:
            done = run_command(self.node, self.work.environment_id, command, timeout_s=_ASK_S)
        except RuntimeFault as fault:
            if fault.code == "bad_command":
                raise
            return False, str(fault)
        said = seen(done.stdout[-1000:] + done.stderr[-1000:]).strip().splitlines()
        return done.exit_code == 0 and not done.timed_out, said[-1][:200] if said else str(done.exit_code)

    def picture(self, up_after_s: float | None) -> BootSeen:
        """Its console as it is now."""
        place = sandbox_of(self.node).console(self.work.environment_id).log
        lines = seen(tail(place, 5 * _LINES)).rstrip().splitlines()[-_LINES:]
        return BootSeen(screen="\n".join(one.rstrip() for one in lines)[-_MOST_SCREEN:], up_after_s=up_after_s)


def seen(raw: bytes) -> str:
    """What a person would read there: no sequence moves, colours or hides anything."""
    text = _ESCAPES.sub("", raw.decode(errors="replace")).replace("\r\n", "\n")
    lines = (line.rsplit("\r", 1)[-1] for line in text.split("\n"))  # written over
    return "\n".join("".join(one for one in line if one.isprintable()) for line in lines)


def _raise_what(report: Report | None) -> None:
    if report is not None and report.code:
        raise RuntimeFault(
            report.message, code=report.code, next_step=report.next_step, retryable=report.retryable
        )


def _failed(said: Said, code: str) -> RuntimeFault:
    return RuntimeFault(said, code=code, next_step=words.look_at_the_screen(), retryable=True)


@contextmanager
def place(node: Node) -> Iterator[bool]:
    """That of the node's one quarantine: yields False, without waiting, when somebody else has it. It goes with
    the process that holds it."""
    directory = node.run / "locks"
    directory.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(directory / "quarantine", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)

"""Sends what apps write to where their tenants want it, in turn (`Turns`)."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from runtime.agent.turns import Turn, Turns
from runtime.contract import Destination, EnvironmentSpec, LogShipping, LogsSeen, LogsState
from runtime.contract.said import NOTHING
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.events import note_logs
from runtime.node import Node
from runtime.sandboxes import SandboxState
from runtime.shipping import noted
from runtime.shipping.reading import Line, Reader
from runtime.shipping.records import Sender
from runtime.shipping.sending import send
from runtime.state import Records

log = structlog.get_logger()

#: Sendings of one tenant at once: what they cost the host is bounded by that.
MOST_OF_A_TENANT = 4
#: Between two looks at a log, and after one that failed: twice as long each time, and no longer than that.
EVERY_S, _LATER_S = 1.0, 60.0
#: So often the panel hears of one that changes all the time: a receiver may take and refuse in turn.
TOLD_EVERY_S = 5.0

Send = Callable[[Node, Sender, Destination, Sequence[Line]], None]


@dataclass(kw_only=True)
class _Shipped(Turn):
    """One app's log, while the app runs."""

    spec: EnvironmentSpec
    shipping: LogShipping
    reader: Reader
    seen: LogsSeen
    failed: int = 0
    """Times in a row."""
    told: LogsSeen | None = None
    """What the panel heard last, and when."""
    told_at: float = float("-inf")

    @property
    def is_untold(self) -> bool:
        was, now = self.told, self.seen
        return was is None or (was.state, was.message, was.lost_bytes) != (
            now.state,
            now.message,
            now.lost_bytes,
        )


class LogShippingWatch:
    """`look` is called, by any thread, when an environment may have begun, changed or ended."""

    def __init__(self, node: Node, engine: Callable[[], Engine], send: Send = send):
        self.node, self.engine, self.send = node, engine, send
        self._turns = Turns[_Shipped]("log shipping", MOST_OF_A_TENANT, self._do, _rests)
        self.start, self.close = self._turns.start, self._turns.close

    def look(self, records: Records) -> None:
        """Cheap where it isn't an app, or its log is sent nowhere."""
        spec = records.wanted()
        if spec is None or spec.app is None:
            return
        spec = records.standing() or spec
        shipping = spec.app.logs if spec.app is not None and self._runs(spec, records) else None
        with self._turns.lock:
            known = self._turns.get(spec.id)
            if known is not None and known.shipping == shipping:
                known.spec = spec
                return
            if known is not None:
                self._turns.drop(spec.id)
                if not known.is_busy:
                    known.reader.close()
            if shipping is None:
                return
            note = noted.noted(self.node, spec.id, shipping.to)
            reader = Reader(self.node.console(spec.id), note.identity, note.position, note.seen.lost_bytes)
            one = _Shipped(
                tenant_id=spec.tenant_id,
                due=time.monotonic() + EVERY_S,
                spec=spec,
                shipping=shipping,
                reader=reader,
                seen=note.seen,
                told=note.seen,
            )
            self._turns.put(spec.id, one)

    def _runs(self, spec: EnvironmentSpec, records: Records) -> bool:
        return records.state().started_at is not None and self.engine().sandbox.is_there(spec.id)

    def _do(self, one: _Shipped) -> float:
        try:
            rests_s = self._ship(one) if one.reader.has_more() else EVERY_S
            self._tell(one)
            return rests_s
        except RuntimeFault as ended:
            log.info("log not sent", environment=str(one.spec.id), why=str(ended))
            return EVERY_S
        except Exception:  # the edge: one app's trouble is no other's
            log.exception("log shipping failed", environment=str(one.spec.id))
            return _LATER_S
        finally:
            with self._turns.lock:
                if not self._turns.has(one.spec.id, one):
                    one.reader.close()

    def _ship(self, one: _Shipped) -> float:
        """Seconds until the next look."""
        if self.engine().sandbox.look(one.spec.id).state is not SandboxState.RUNNING:
            return EVERY_S  # frozen, or gone: what it wrote goes when it runs again
        lines, position = one.reader.read()
        if not lines:
            return EVERY_S
        try:
            self._send(one, lines)
        except RuntimeFault as fault:
            one.failed += 1
            one.reader.let_go()
            self._note(one, LogsState.FAILING, message=fault.said)
            return min(_LATER_S, EVERY_S * 2.0 ** min(one.failed, 10))
        one.failed = 0
        one.reader.take(position)
        self._note(one, LogsState.SENT, message=NOTHING)
        return 0.0 if one.reader.has_more() else EVERY_S

    def _send(self, one: _Shipped, lines: list[Line]) -> None:
        spec = one.spec
        assert spec.app is not None
        hosts = {name: str(address) for name, address in spec.app.hosts.items()}
        sender = Sender(spec.name, one.shipping.tag or spec.name, spec.id, self.node.name, hosts)
        self.send(self.node, sender, one.shipping.destination, lines)

    def _note(self, one: _Shipped, state: LogsState, **told: Any) -> None:
        """Kept each time."""
        was, lost = one.seen, one.reader.lost_bytes
        since = was.since if was.state is state and was.since is not None else datetime.now(UTC)
        now = LogsSeen(state=state, since=since, lost_bytes=lost, **told)
        with self._turns.lock:
            if not self._turns.has(one.spec.id, one):
                return
            one.seen = now
            reader = one.reader
            note = noted.Note(to=one.shipping.to, identity=reader.identity, position=reader.position, seen=now)
            noted.keep(self.node, one.spec.id, note)

    def _tell(self, one: _Shipped) -> None:
        """The panel, when it is another than it was told."""
        with self._turns.lock:
            if not _is_to_be_told(one) or not self._turns.has(one.spec.id, one):
                return
            one.told, one.told_at = one.seen, time.monotonic()
        note_logs(Records(self.node, one.spec.id), self.engine().reports)


def _is_to_be_told(one: _Shipped) -> bool:
    return one.is_untold and time.monotonic() - one.told_at >= TOLD_EVERY_S


def _rests(one: _Shipped) -> float | None:
    """A silent app costs two calls of the kernel a second, and no thread."""
    return None if one.reader.has_more() or _is_to_be_told(one) else EVERY_S

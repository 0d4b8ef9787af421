"""What happens to an environment without anybody asking: written down so that it is told once, and reported."""

from datetime import UTC, datetime

from runtime.contract import EnvironmentEvent, EventCode, HealthSeen, HealthState
from runtime.contract.said import Said
from runtime.contract.words import ends, health
from runtime.glance import Glance
from runtime.reports import Reports
from runtime.sandboxes.steps import first_process
from runtime.state import Records


def note_oom(records: Records, reports: Reports, name: str, pid: int) -> None:
    """The kernel killed this process of the environment for lack of memory. When it was init, its end is
    reported by itself too."""
    with records.try_lock() as mine:
        if mine and not reports.sandbox.was_first(records.id, pid):
            state = records.state()
            state.ooms = max(state.ooms, reports.sandbox.oom_kills(records.id))
            if records.directory.exists():
                records.set_state(state)
    spec = records.wanted()
    said = ends.process_killed(spec.limits.memory_mb, name) if spec else ends.process_killed_at_limit(name)
    _tell(records, reports, EventCode.OUT_OF_MEMORY, said)


def note_unnamed_ooms(records: Records, reports: Reports) -> bool:
    """Kills that the environment's group counts and the kernel's log did not name: told as a number."""
    ooms = reports.sandbox.oom_kills(records.id)
    if ooms == records.state().ooms:
        return False
    with records.try_lock() as mine:
        state = records.state()
        new = ooms - state.ooms
        if not mine or new == 0 or not reports.sandbox.look(records.id).is_there:
            return False
        state.ooms = ooms  # a group that was made anew counts from zero
        records.set_state(state)
    if new < 0:
        return False
    _tell(records, reports, EventCode.OUT_OF_MEMORY, ends.processes_killed(new))
    return True


def note_lost_monitor(records: Records, reports: Reports, glance: Glance | None = None) -> bool:
    """Its init runs and what kept its console doesn't: told once for each init. False when all is well."""
    seen = first_process(reports.sandbox, glance or Glance(), records.id)
    if seen.pid is None or not reports.sandbox.lost_console(records.id, seen.pid):
        return False
    with records.try_lock() as mine:
        state = records.state()
        if not mine or state.console_lost_of == seen.identity:
            return False
        state.console_lost_of = seen.identity
        records.set_state(state)
    _tell(records, reports, EventCode.CONSOLE_LOST, ends.console_lost())
    return True


def note_health(records: Records, reports: Reports, seen: HealthSeen, failed: int) -> None:
    """An app is another than it was: told, and as an event when it became unhealthy.

    `failed`: checks in a row."""
    if seen.state is HealthState.UNHEALTHY:
        _tell(records, reports, EventCode.UNHEALTHY, health.unhealthy(failed, seen.output))
    elif (spec := records.wanted()) is not None:
        reports.tell(reports.of(spec, records.state(), final=True))


def note_logs(records: Records, reports: Reports) -> None:
    """What becomes of an app's log is another than it was: told."""
    if (spec := records.wanted()) is not None:
        reports.tell(reports.of(spec, records.state(), final=True))


def note_rule(records: Records, reports: Reports, rule: str, amount: float, name: str) -> None:
    """It has as much of something as a rule of its says; the process of this name was signalled for it."""
    said = (
        ends.over_rule_signalled(rule, f"{amount:.4g}", name) if name else ends.over_rule(rule, f"{amount:.4g}")
    )
    _tell(records, reports, EventCode.LIMIT_RULE, said)


def note_stuck(records: Records, reports: Reports) -> None:
    """A look at it waited for what it serves itself, and its processes were ended for that."""
    _tell(records, reports, EventCode.STUCK, ends.stuck())


def _tell(records: Records, reports: Reports, code: EventCode, message: Said) -> None:
    spec = records.wanted()
    if spec is not None:
        event = EnvironmentEvent(code=code, message=message, at=datetime.now(UTC))
        report = reports.of(spec, records.state(), final=True)
        reports.tell(report.model_copy(update={"events": (event,)}))

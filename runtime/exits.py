"""What follows when an init ends without being asked to: a report, and a restart by its policy."""

import time
from collections.abc import Callable

import structlog

from runtime.contract import DesiredState, EnvironmentSpec, RestartMode
from runtime.contract.said import NOTHING, Said
from runtime.contract.words import advice, apps, ends, health
from runtime.kinds.base import Ending
from runtime.reports import Reports
from runtime.state import Records, State

log = structlog.get_logger()

#: After running this long, a crash counts as the first one again.
STEADY_S = 600.0
#: Whatever its policy says, the node follows so many ends in a row at once; before each further start it waits,
#: twice as long each time. A start costs the node, not the environment.
_FREE_STARTS, _FIRST_PAUSE_S = 5, 0.5
MOST_PAUSE_S = 30.0
_POLICIES = {RestartMode.NEVER: ends.never, RestartMode.ON_FAILURE: ends.on_failure}


def note_exit(records: Records, exit_code: int | None, reports: Reports) -> float | None:
    """Writes the end down and reports it; to be called under the environment's lock. `exit_code` None: nobody
    knows it, since what would have kept it was gone.

    Returns the seconds until it should start again; None: never, or the end was asked for.
    """
    spec = records.standing()
    if spec is None or reports.sandbox.look(records.id).is_there:
        return None
    state = records.state()
    ran_on = spec.desired in (DesiredState.RUNNING, DesiredState.PAUSED) and not state.stays_off
    if not ran_on or state.started_at is None or state.restart_at is not None:
        return None
    ooms = reports.sandbox.oom_kills(records.id)
    ending = reports.tools.kind(spec.kind).ending_of(exit_code)
    said = reports.sandbox.last_words(records.id) if ending is Ending.ENDED else ""
    delay = decide_restart(spec, state, exit_code, ending, out_of_memory=ooms > state.ooms, last_words=said)
    state.ooms = max(state.ooms, ooms)
    state.restart_at = None if delay is None else time.time() + delay
    try:
        records.set_state(state)
    except OSError as full:
        log.warning("end not written down", environment=str(records.id), error=str(full))
    reports.tell(reports.of(records.wanted() or spec, state, final=True))
    return delay


def end_unhealthy(
    records: Records, reports: Reports, started_at: float, *, interrupted: Callable[[], bool]
) -> float | None:
    """Shuts down an app whose health said so, and reports it; to be called under the environment's lock. The
    seconds until it should start again, whatever `restart` says: the health check's own word counts. None, and
    nothing is done, when it isn't what was started then, or isn't to run any more. Raises `Superseded`."""
    spec, state = records.standing(), records.state()
    if spec is None or spec.desired is not DesiredState.RUNNING or state.stays_off:
        return None
    if state.started_at != started_at or state.restart_at is not None:
        return None
    reports.sandbox.stop(records.id, timeout_s=spec.stop_timeout_s, interrupted=interrupted)
    state.restarts += 1
    delay = _next_delay(spec, state)
    state.code, state.next_step = "unhealthy", NOTHING
    state.message = health.started_anew(delay)
    state.restart_at = time.time() + delay
    records.set_state(state)
    reports.tell(reports.of(records.wanted() or spec, state, final=True))
    return delay


def _next_delay(spec: EnvironmentSpec, state: State, *, by_policy: bool = True) -> float:
    """Doubles from one end to the next, unless it ran long in between."""
    if state.ran_s() > STEADY_S:
        state.crashes_in_a_row = 0
    row, policy = state.crashes_in_a_row, spec.restart
    state.crashes_in_a_row = min(row + 1, 30)
    asked = min(policy.max_delay_s, policy.first_delay_s * 2**row) if by_policy else 0.0
    pause = min(MOST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (row - _FREE_STARTS)) if row >= _FREE_STARTS else 0.0
    return max(asked, pause)


def decide_restart(
    spec: EnvironmentSpec,
    state: State,
    exit_code: int | None,
    ending: Ending = Ending.ENDED,
    *,
    out_of_memory: bool = False,
    last_words: str = "",
) -> float | None:
    """Writes into `state` what the end means; the seconds until it should start again, None: never.

    `last_words`: of a kernel of its own, which gave up."""
    state.exit_code = exit_code
    if ending is Ending.POWER_OFF:
        state.started_at, state.halted = None, True
        state.code, state.message = "halted_inside", ends.powered_off()
        state.next_step = advice.press_start()
        return None
    state.restarts += 1
    if ending is Ending.REBOOT:
        delay = _next_delay(spec, state, by_policy=False)
        state.code, state.message, state.next_step = "", NOTHING, NOTHING
        if delay:
            state.code, state.message = "init_crashed", ends.starts_again(ends.reboots(), delay)
        return delay
    state.code, cause = _cause(spec, exit_code, out_of_memory=out_of_memory)
    if last_words:
        state.code, cause = "kernel_panic", ends.panicked(last_words)
    policy = spec.restart
    never = policy.mode is RestartMode.NEVER or (policy.mode is RestartMode.ON_FAILURE and exit_code == 0)
    if never:
        state.started_at, state.rests = None, True
        state.message = ends.rests(cause, _POLICIES[policy.mode]())
        state.next_step = advice.press_start()
        return None
    delay = _next_delay(spec, state)
    state.message = ends.starts_again(cause, delay)
    state.next_step = NOTHING
    return delay


def _cause(spec: EnvironmentSpec, exit_code: int | None, *, out_of_memory: bool) -> tuple[str, Said]:
    if spec.runs_app and exit_code is not None and not out_of_memory:
        if exit_code == 0:
            return "app_done", apps.done()
        return "app_ended", apps.ended_by(exit_code - 128) if exit_code > 128 else apps.ended(exit_code)
    if out_of_memory and exit_code in (None, 137):
        return "out_of_memory", ends.out_of_memory()
    if exit_code is None:
        return "init_crashed", ends.unseen()
    if exit_code > 128:
        return "init_crashed", ends.killed(exit_code - 128)
    return "init_crashed", ends.exited(exit_code)

"""What of an environment others in its stack wait for, by what its node last said."""

from datetime import timedelta

from django.utils import timezone

from panel import words
from panel.environments.models import Environment
from panel.environments.states import Healthiness
from runtime.contract import DesiredState, ObservedState
from runtime.contract.said import NOTHING, Said

#: Running for so long without anybody saying how to ask it, it never will be healthy.
_NO_CHECK_AFTER = timedelta(seconds=60)
#: Causes of one that ran and came to its end.
_ENDED = frozenset({"app_done", "app_ended", "init_crashed", "out_of_memory", "halted_inside"})


class Failed(Exception):
    """A stack's operation can't go on."""

    def __init__(self, code: str, said: Said, next_step: Said = NOTHING) -> None:
        super().__init__(str(said))
        self.code, self.said, self.next_step = code, said, next_step


def has_started(row: Environment) -> bool:
    """It runs, or did since it was last asked to."""
    if row.desired_state != DesiredState.RUNNING or not row.is_settled:
        return False
    return row.observed_state == ObservedState.RUNNING or row.code in _ENDED


def is_healthy(row: Environment) -> bool:
    """Raises `Failed` where it never will be."""
    if not has_started(row):
        return False
    if row.observed_state != ObservedState.RUNNING:
        raise Failed("dependency_ended", words.ended_before_healthy(row.name), words.look_at_its_log())
    if row.healthiness is Healthiness.UNHEALTHY:
        raise Failed("dependency_unhealthy", words.is_unhealthy(row.name), words.look_at_its_log())
    since = row.started_at
    # of a start that lies ahead the clock was set back since then
    if row.health is None and since is not None and abs(timezone.now() - since) > _NO_CHECK_AFTER:
        raise Failed("no_health_check", words.has_no_check(row.name), words.give_it_a_check())
    return row.healthiness is Healthiness.HEALTHY


def has_ended(row: Environment) -> bool:
    """Well: with exit code 0. Raises `Failed` where it ended otherwise."""
    if not has_started(row) or row.observed_state == ObservedState.RUNNING:
        return False
    if row.exit_code != 0:
        raise Failed(
            "dependency_failed", words.ended_badly(row.name, row.exit_code or -1), words.look_at_its_log()
        )
    return True


def refuse_failed(row: Environment) -> None:
    """Raises `Failed` for one that its node gave up on."""
    if row.has_failed:
        said = row.message if isinstance(row.message, Said) else Said(str(row.message))
        step = row.next_step if isinstance(row.next_step, Said) else Said(str(row.next_step))
        raise Failed(row.code, words.of_one(row.name, said), step)

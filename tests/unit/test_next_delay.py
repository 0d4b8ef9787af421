"""How soon the supervisor starts again what died."""

from runtime.install.supervisor import FIRST_DELAY_S, MAX_DELAY_S, STEADY_S, next_delay


def test_what_had_started_is_started_again_at_once_however_often_it_died_before() -> None:
    assert next_delay(STEADY_S + 0.1, MAX_DELAY_S) == 0.0


def test_what_can_not_start_waits_ever_longer_and_never_so_long_that_ten_seconds_pass() -> None:
    waits = [FIRST_DELAY_S]
    for _ in range(6):
        waits.append(next_delay(0.3, waits[-1]))
    assert next_delay(0.3, 0.0) == FIRST_DELAY_S
    assert waits == sorted(waits)
    assert waits[-1] == MAX_DELAY_S < 5

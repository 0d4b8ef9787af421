"""A terminal under fast output: cut off thirty times, its servers killed meanwhile, no byte wrong (X15)."""

import time

from tests.faults.support.stack import Stack

LINES, PER_BURST = 24_000, 600
#: Busybox prints a burst, rests a tenth of a second, and goes on: some 4 s and 2.4 MB in all.
_SCRIPT = (
    "stty -echo; i=0; echo BEG''IN; while [ $i -lt {lines} ]; do e=$((i+{burst})); "
    "while [ $i -lt $e ]; do echo line $i {filling}; i=$((i+1)); done; usleep 100000; done; echo FIN''IS\n"
)
FILLING = "abcdefghij" * 9


def test_thirty_disconnects_and_restarts_lose_and_double_nothing(whole: Stack, environment: str) -> None:
    with whole.terminal(environment) as terminal:
        terminal.type(_SCRIPT.format(lines=LINES, burst=PER_BURST, filling=FILLING))
        terminal.until(b"BEGIN\r\n")
        for number in range(30):
            until = time.monotonic() + 0.1
            while time.monotonic() < until:
                terminal.read(0.05)
            if number in (7, 17, 27):
                whole.kill("ws")
            if number in (12, 22):
                whole.kill("agent")
            terminal.drop()
            terminal.open()
        terminal.until(b"FINIS\r\n", 60)
        said = terminal.text[terminal.text.index(b"BEGIN\r\n") + 7 : terminal.text.index(b"FINIS\r\n")]
        assert terminal.gaps == []
        assert terminal.connects >= 31
    wanted = b"".join(f"line {number} {FILLING}\r\n".encode() for number in range(LINES))
    if said != wanted:
        at = next(i for i in range(len(wanted)) if said[i : i + 1] != wanted[i : i + 1])
        raise AssertionError(
            f"{len(said)} bytes, not {len(wanted)}; wrong from {at}: {said[at - 80 : at + 120]!r}"
        )


def test_a_terminal_and_what_it_runs_outlive_the_panel(whole: Stack, environment: str) -> None:
    """Every process of the panel's and the node's own is killed; the shell and its variable are the same."""
    with whole.terminal(environment, "kept") as terminal:
        terminal.type("kept=yes-it-is; echo set\n")
        terminal.until(b"set\r\n")
        before = {role: whole.kill(role) for role in ("ws", "web", "agent", "redis", "node-worker")}
        for role, pid in before.items():
            whole.wait_back(role, pid)
        terminal.drop()
        terminal.open()
        terminal.type("echo $kept-$$\n")
        terminal.until(b"yes-it-is-")

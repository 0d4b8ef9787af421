"""Which process is meant: never another one that has its number by now."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.host.processes import Identity, child, descendants, kill_members, roots
from runtime.install.layout import Layout
from runtime.install.supervisor import running


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as one:
        yield one
        one.kill()


@pytest.fixture
def known(process: subprocess.Popen[bytes]) -> Identity:
    found = Identity.of(process.pid)
    assert found is not None
    return found


def test_what_was_written_down_is_the_same_process(known: Identity) -> None:
    assert Identity.parse(str(known)) == known
    assert known.lives


@pytest.mark.parametrize("text", ["", "12", "12 13", "a b c", "1 2 3 4", "\0"])
def test_what_is_no_identity_is_none(text: str) -> None:
    assert Identity.parse(text) is None


@pytest.mark.parametrize("change", [{"started": 1}, {"boot": "another"}])
def test_a_number_that_was_given_out_again_is_another_process(
    process: subprocess.Popen[bytes], known: Identity, change: dict[str, object]
) -> None:
    before = replace(known, **change)  # type: ignore[arg-type]
    assert not before.lives
    before.send(signal.SIGKILL)
    for hold in (before.held, before.directory):
        with pytest.raises(ProcessLookupError), hold():
            pass
    assert process.poll() is None


def test_one_that_has_ended_is_gone(process: subprocess.Popen[bytes], known: Identity) -> None:
    with known.held() as held:
        held.send(signal.SIGKILL)
        assert held.ends_within(10)
        assert not known.lives, "not reaped, and gone all the same"
    process.wait()
    known.send(signal.SIGKILL)


def test_a_child_is_its_parents_alone(known: Identity) -> None:
    own = Identity.of(os.getpid())
    assert own is not None
    assert child(known.pid, own) == known
    assert child(known.pid, replace(own, started=1)) is None
    assert child(own.pid, known) is None
    assert known in descendants(own)


def test_who_left_the_group_meanwhile_is_not_killed(process: subprocess.Popen[bytes]) -> None:
    listed = iter([[process.pid], []])
    kill_members(lambda: next(listed))
    assert process.poll() is None
    kill_members(lambda: [process.pid])
    assert process.wait(10) == -signal.SIGKILL


def test_only_roots_processes_are_known_by_their_words(
    process: subprocess.Popen[bytes], known: Identity
) -> None:
    mine = known if os.geteuid() == 0 else None
    assert roots(process.pid, "sleep", "600") == mine
    assert roots(process.pid, None, "600") == mine
    assert roots(process.pid, "sleep", "601") is None
    assert roots(process.pid, "conmon", "600") is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_calls_himself_the_supervisor_is_not_it(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with subprocess.Popen(["tail", "-f", "/dev/null", "--", "supervise", str(tmp_path)], user=65_534) as other:
        (tmp_path / "run" / "supervisor.pid").write_text(str(other.pid))
        assert running(Layout(tmp_path)) is None
        other.kill()

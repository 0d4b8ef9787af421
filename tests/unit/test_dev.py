"""`./wadah dev` starts anew what a change is for, and nothing else; what refuses a change is shown."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.install import dev
from runtime.install.dev import Bench, Role

SLEEP = ("sleep", "60")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    for name in ("home/log", "home/run", "panel/migrations", "runtime", "templates"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(dev, "CHECKOUT", tmp_path)
    wanted = (Role("redis", SLEEP), Role("node", SLEEP, ("runtime",)), Role("worker", SLEEP, ("panel",)))
    monkeypatch.setattr(dev, "roles", lambda home, port: wanted)
    made = Bench(tmp_path / "home", 1, dict(os.environ))
    made.start(*made.roles)
    yield made
    made.stop(*made.roles)


def pids(bench: Bench) -> dict[str, int]:
    return {role.name: process.pid for role, process in bench._running.items()}


@pytest.mark.parametrize(
    ("file", "anew"),
    [
        ("panel/views.py", {"worker"}),
        ("runtime/engine.py", {"node"}),
        ("panel/strange.txt", set()),
        ("templates/page.css", set()),
    ],
)
def test_who_is_started_anew(bench: Bench, tmp_path: Path, file: str, anew: set[str]) -> None:
    before = pids(bench)
    (tmp_path / file).write_text("")
    bench._take_up_changes()
    after = pids(bench)
    assert {name for name in after if after[name] != before[name]} == anew
    assert after.keys() == before.keys()
    bench._take_up_changes()
    assert pids(bench) == after


def test_pages_migrations_and_what_refuses(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def run(words: list[str], **_: object) -> str:
        asked.append(" ".join(words[2:]))
        raise dev.Stop("it can't be done")

    monkeypatch.setattr(dev, "run", run)
    before = pids(bench)
    (tmp_path / "templates" / "page.html").write_text("")
    bench._take_up_changes()
    assert (asked, pids(bench)) == (["panel.config.vendor"], before)
    (tmp_path / "panel" / "migrations" / "0002_more.py").write_text("")
    bench._take_up_changes()
    assert asked[1:] == ["manage prepare --keep-static"] and pids(bench)["worker"] != before["worker"]
    assert "it can't be done" in capsys.readouterr().out


def test_all_of_a_process_goes_with_it(bench: Bench) -> None:
    stubborn = Role("stubborn", ("sh", "-c", "trap '' TERM; sleep 60 & wait; sleep 60"))
    bench.start(stubborn)
    group = bench._running[stubborn].pid
    before, dev.END_DEADLINE_S = dev.END_DEADLINE_S, 0.3
    try:
        bench.stop(stubborn)
    finally:
        dev.END_DEADLINE_S = before
    with pytest.raises(ProcessLookupError):
        while True:  # the kernel takes a moment to forget the last of a group that was killed
            os.killpg(group, 0)

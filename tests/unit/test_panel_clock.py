"""When the panel's daily backup is begun."""

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from runtime.agent.panel_clock import PanelClock
from runtime.install import panel_schedule
from runtime.install.layout import Layout
from runtime.install.output import Stop
from runtime.node import Node

DAY_S = 86_400.0
#: Midnight UTC of some day.
MIDNIGHT = 20_000 * DAY_S
THREE = 3 * 3600.0


class Clock(PanelClock):
    begun = 0

    def _begin(self) -> Any:
        self.begun += 1
        return SimpleNamespace(poll=lambda: 0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("etc", "log", "node"):
        (tmp_path / name).mkdir()
    return tmp_path


def _clock(home: Path) -> Clock:
    return Clock(cast("Node", SimpleNamespace(home=home, root=home / "node")))


def _looks(clock: Clock, monkeypatch: pytest.MonkeyPatch, *times: float) -> int:
    before = clock.begun
    for at in times:
        monkeypatch.setattr(time, "time", lambda at=at: at)
        clock.look()
    return clock.begun - before


def test_once_a_day_at_its_time_and_missed_ones_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _clock(home)
    assert _looks(clock, monkeypatch, MIDNIGHT) == 0  # none is scheduled
    (home / "etc/panel-backup.json").write_text(json.dumps({"minute": 180}))
    assert _looks(clock, monkeypatch, MIDNIGHT + THREE + 60, MIDNIGHT + THREE + 90) == 0  # one was just made
    assert _looks(clock, monkeypatch, MIDNIGHT + DAY_S, MIDNIGHT + DAY_S + THREE - 1) == 0
    assert _looks(clock, monkeypatch, *(MIDNIGHT + DAY_S + THREE + late for late in (0, 30, 60, 50_000))) == 1
    assert _looks(_clock(home), monkeypatch, MIDNIGHT + DAY_S + THREE + 60_000) == 0  # the agent began anew
    assert _looks(clock, monkeypatch, MIDNIGHT + 9 * DAY_S, MIDNIGHT + 9 * DAY_S + 30) == 1
    assert _looks(clock, monkeypatch, MIDNIGHT + 5 * DAY_S, MIDNIGHT + 8.5 * DAY_S) == 0  # a clock set back


@pytest.mark.parametrize("text", ["", "{", '{"minute": "x"}', "[]"])
def test_a_damaged_schedule_begins_nothing(home: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (home / "etc/panel-backup.json").write_text(text)
    assert _looks(_clock(home), monkeypatch, MIDNIGHT, MIDNIGHT + 2 * DAY_S) == 0
    with pytest.raises(Stop):
        panel_schedule.read(Layout(home))


def test_what_is_kept_is_roots_alone_and_says_when_the_last_one_was_made(home: Path) -> None:
    layout = Layout(home)
    opens = panel_schedule.opening({"AWS_SECRET_ACCESS_KEY": "s", "SFTP_KEY_FILE": "key", "PATH": "x"}, home)
    to = panel_schedule.Target("s3:https://host/bucket", "of the panel alone", 7, opens)
    panel_schedule.keep(layout, to, panel_schedule.minute_of("03:00"))
    assert panel_schedule.read(layout) == to
    assert opens == {"AWS_SECRET_ACCESS_KEY": "s", "SFTP_KEY_FILE": str(home / "key")}
    assert (home / "etc/panel-backup.json").stat().st_mode & 0o777 == 0o600
    panel_schedule.note(layout, "")
    made_at, problem = panel_schedule.newest(layout) or (0.0, "?")
    assert (made_at > 0, problem) == (True, "")
    panel_schedule.note(layout, "the target is full")
    assert panel_schedule.newest(layout) == (made_at, "the target is full")
    panel_schedule.forget(layout)
    panel_schedule.forget(layout)
    assert panel_schedule.read(layout) is None


@pytest.mark.parametrize("text", ["24:00", "3:00", "03:60", "now", "", "03:00\n"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Stop):
        panel_schedule.minute_of(text)

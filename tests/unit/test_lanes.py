"""Groups of tests run in two lanes: side by side, and who computes stands back."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.install import lanes, testing
from runtime.install.lanes import Lane
from runtime.install.layout import CHECKOUT
from runtime.install.testing import Group, Tally

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # loading them takes longer than these tests
}
#: Each waits for the other, as long as a loaded machine may need to begin both.
MEETS = """
import time
from pathlib import Path

def test_meets():
    Path("{own}").touch()
    until = time.monotonic() + 60
    while not Path("{other}").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
"""
RED = "def test_red():\n    assert False\n"
SAYS_ITS_NICE = "import os\n\ndef test_nice():\n    open('nice', 'w').write(str(os.nice(0)))\n"


def _written(directory: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _run(
    directory: Path, files: dict[str, str], groups: tuple[Group, ...], monkeypatch: pytest.MonkeyPatch
) -> Tally:
    _written(directory, files)
    monkeypatch.setattr(testing, "CHECKOUT", directory)
    tally = Tally()
    testing._run_groups(groups, ENVIRONMENT, tally)
    return tally


def test_lanes_run_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "a/test_a.py": MEETS.format(own="a_is", other="b_is"),
        "b/test_b.py": MEETS.format(own="b_is", other="a_is"),
    }
    groups = (Group("a", 90, lane=Lane.COMPUTES), Group("b", 90, lane=Lane.WAITS))
    tally = _run(tmp_path, files, groups, monkeypatch)
    assert (tally.failed, tally.passed) == ([], 2)


def test_the_lane_that_is_done_takes_what_the_other_has_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "a/test_a.py": "def test_quick():\n    pass\n",
        "b/test_b.py": MEETS.format(own="b_is", other="c_is"),
        "c/test_c.py": MEETS.format(own="c_is", other="b_is"),
    }
    groups = (Group("a", 90, lane=Lane.COMPUTES), Group("b", 90), Group("c", 90))
    tally = _run(tmp_path, files, groups, monkeypatch)
    assert (tally.failed, tally.passed) == ([], 3)


def test_what_fails_is_tried_again_by_its_own_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a/test_a.py": RED, "b/test_b.py": RED, "c/test_c.py": "def test_green():\n    pass\n"}
    groups = (Group("a", 90, lane=Lane.COMPUTES), Group("b", 90), Group("c", 90))
    tally = _run(tmp_path, files, groups, monkeypatch)
    assert sorted(tally.failed) == ["a.test_a::test_red", "b.test_b::test_red"]
    assert (tally.passed, tally.unsteady) == (1, [])


@pytest.mark.parametrize(("lane", "more"), [(Lane.COMPUTES, lanes.STANDS_BACK), (Lane.WAITS, 0)])
def test_who_computes_stands_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lane: Lane, more: int
) -> None:
    _run(tmp_path, {"a/test_a.py": SAYS_ITS_NICE}, (Group("a", 90, lane=lane),), monkeypatch)
    assert int((tmp_path / "nice").read_text()) == min(os.nice(0) + more, 19)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_who_is_ended_ends_what_runs_and_begins_nothing_more(tmp_path: Path, number: signal.Signals) -> None:
    hangs = (
        "import pytest, time\n\n@pytest.fixture\ndef made():\n    open('began', 'w').close()\n    yield\n"
        "    open('undone', 'w').close()\n\ndef test_hangs(made):\n    time.sleep(600)\n"
    )
    later = "def test_later():\n    open('later', 'w').close()\n"
    _written(tmp_path, {"a/test_a.py": hangs, "b/test_b.py": later})
    script = (
        "from pathlib import Path\nfrom runtime.install import testing as t\n"
        f"t.CHECKOUT, c = Path({str(tmp_path)!r}), t.Lane.COMPUTES\n"
        f"t._run_groups((t.Group('a', 900, lane=c), t.Group('b', 900, lane=c)), {ENVIRONMENT!r}, t.Tally())\n"
    )
    command = ["env", "--default-signal=INT", sys.executable, "-c", script]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(tmp_path / "began")
        process.send_signal(number)
        assert process.wait(60) != 0
        _wait_for(tmp_path / "undone")
    finally:
        process.kill()
    assert not (tmp_path / "later").exists()


def _wait_for(file: Path) -> None:
    until = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < until, file
        time.sleep(0.02)

"""B07: what the limits of all environments add up to, against what the kernel can number."""

from pathlib import Path

import pytest

from runtime.host import task_room


@pytest.fixture(params=[1, 2])
def top(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that can number 32,768 tasks, with no environment yet."""
    for name, value in (("pid_max", 32_768), ("threads-max", 190_000)):
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setattr(task_room, "_SYSCTL", tmp_path)
    monkeypatch.setattr(task_room, "version", lambda: request.param)
    found = tmp_path / ("wadah" if request.param == 2 else "pids/wadah")
    found.mkdir(parents=True)
    return found


def _promise(top: Path, tenant: str, most: str, *environments: str) -> None:
    (top / tenant).mkdir()
    (top / tenant / "pids.max").write_text(most)
    for number, one in enumerate(environments):
        (top / tenant / str(number)).mkdir()
        (top / tenant / str(number) / "pids.max").write_text(one)


def test_b07_the_host_keeps_4096(top: Path, tmp_path: Path) -> None:
    assert task_room.room("wadah", tmp_path) == task_room.Room(promised=0, held=32_768 - 4096)


def test_b07_it_says_when_more_is_promised_than_there_is(top: Path, tmp_path: Path) -> None:
    _promise(top, "one", "max", "20000", "8672")
    assert task_room.room("wadah", tmp_path).is_enough
    _promise(top, "two", "max", "1")
    seen = task_room.room("wadah", tmp_path)
    assert not seen.is_enough
    assert "28673 are promised" in seen.found


def test_b07_a_tenants_own_limit_bounds_what_it_was_promised(top: Path, tmp_path: Path) -> None:
    _promise(top, "one", "1000", "20000", "20000")
    assert task_room.room("wadah", tmp_path).promised == 1000

"""B05: when terminals count as short: half of those that environments may have together are taken."""

from pathlib import Path

import pytest

from runtime.agent import ptys


@pytest.mark.parametrize(("taken", "is_short"), [(0, False), (1536, False), (1537, True), (4096, True)])
def test_terminals_are_short(
    taken: int, is_short: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("max", 4096), ("reserve", 1024), ("nr", taken)):
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setattr(ptys, "_SYSCTL", tmp_path)
    assert ptys.are_short() == is_short

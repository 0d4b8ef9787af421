"""The environment of an installation: what another lock put beside is known to be gone with a new lock."""

from pathlib import Path

import pytest

from runtime.install import python


def test_what_lay_beside_is_fetched_again_after_a_new_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[str] = []
    monkeypatch.setattr(
        python, "_fill", lambda _python, lock, _environment, verb: filled.append(f"{verb} {lock.stem}")
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    panel, npm = tmp_path / "panel.lock", tmp_path / "npm.lock"
    panel.write_text("one")
    npm.write_text("npm")
    for _ in range(2):
        python.ensure(tmp_path, panel)
        python.ensure(tmp_path, npm, beside=True)
    assert filled == ["sync panel", "install npm"]
    panel.write_text("two")  # sync(1) takes away what isn't in it
    python.ensure(tmp_path, panel)
    assert python.ensure(tmp_path, npm, beside=True)
    assert filled[2:] == ["sync panel", "install npm"]

"""The browser's packages: what becomes of an npm that hangs or fails is a sentence, not a traceback."""

from pathlib import Path

import pytest

from panel.config import vendor


@pytest.mark.parametrize(
    ("script", "words"),
    [("sleep 30", "didn't bring the browser's packages within 0.5 s"), ("exit 7", "npm ended with 7")],
)
def test_it_says_what_is_wrong(
    script: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\nexec {script}\n" if script.startswith("sleep") else f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setattr(vendor, "npm_command", lambda: [str(npm)])
    monkeypatch.setattr(vendor, "_TIMEOUT_S", 0.5)
    with pytest.raises(SystemExit) as ended:
        vendor.install()
    assert words in str(ended.value)

"""What `harden` and `doctor` take for weak: too little of some settings, too much of others."""

from pathlib import Path

import pytest

from runtime.install import sysctls


@pytest.mark.parametrize(
    ("name", "now", "is_weak"),
    [
        ("fs.file-max", "2466174", True),
        ("fs.file-max", "9223372036854775807", False),
        ("kernel.pty.max", "4096", True),
        ("kernel.pty.max", "65536", False),
        ("user.max_net_namespaces", "95941", True),
        ("user.max_net_namespaces", "1024", False),
        ("user.max_net_namespaces", "64", False),
    ],
)
def test_what_is_weak(
    name: str, now: str, is_weak: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "value"
    file.write_text(f"{now}\n")
    monkeypatch.setattr(sysctls, "path_of", lambda _: file)
    assert (name in {one[0] for one in sysctls.differing()}) == is_weak

"""What root writes into directories of the panel's user never goes through a link that lies there."""

from pathlib import Path

import pytest

from runtime.install.files import append, put


def test_a_link_is_replaced_and_its_target_stays(tmp_path: Path) -> None:
    precious = tmp_path / "shadow"
    precious.write_text("root")
    (tmp_path / "Caddyfile").symlink_to(precious)
    put(tmp_path / "Caddyfile", "site")
    assert precious.read_text() == "root"
    assert (tmp_path / "Caddyfile").read_text() == "site"
    assert not (tmp_path / "Caddyfile").is_symlink()


def test_a_log_is_not_written_through_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "shadow"
    precious.write_text("root")
    (tmp_path / "web.log").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic links"):
        append(tmp_path / "web.log")
    assert precious.read_text() == "root"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "redis.conf").write_text("old")
    with pytest.raises(TypeError):
        put(tmp_path / "redis.conf", 1)  # type: ignore[arg-type]
    assert [one.name for one in tmp_path.iterdir()] == ["redis.conf"]
    assert (tmp_path / "redis.conf").read_text() == "old"

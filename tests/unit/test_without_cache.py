"""Memory that counts as used is what free(1) calls used: without the cache of files."""

from pathlib import Path

import pytest

from runtime.host.cgroup.files import without_cache


@pytest.mark.parametrize(
    ("stat", "prefix", "used"),
    [
        ("inactive_file 600\nactive_file 100\nshmem 50\nanon 250\n", "", 300),
        ("inactive_file 1\ntotal_inactive_file 600\ntotal_active_file 400\n", "total_", 0),
        ("inactive_file 9999\n", "", 0),
        ("", "", 1000),
    ],
)
def test_the_cache_of_files_is_taken_off(tmp_path: Path, stat: str, prefix: str, used: int) -> None:
    (tmp_path / "memory.stat").write_text(stat)
    assert without_cache(1000, tmp_path / "memory.stat", prefix) == used


def test_a_group_that_is_gone_has_none(tmp_path: Path) -> None:
    assert without_cache(0, tmp_path / "memory.stat") == 0

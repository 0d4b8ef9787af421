"""What `doctor` says of a pool, by what the kernel and the pool's file say."""

import json
import os
import time
from pathlib import Path

import pytest

from runtime.install import pool_checks
from runtime.install.found import Check
from runtime.install.layout import Layout

MIB, UUID = 2**20, "11111111-2222-3333-4444-555555555555"


class Seen:
    """A pool as /sys shows it, with all well."""

    def __init__(self, home: Path) -> None:
        self.home, self.settings = home, {"pool_device": None, "pool_uuid": UUID, "pool_is_written": False}
        (home / "node").mkdir()
        self.file = home / "node" / "pool.btrfs"
        self.file.touch()
        os.truncate(self.file, 64 * MIB)
        self.sys = home / "sys" / UUID
        for path, text in {
            "devinfo/1/error_stats": "write_errs 0\nread_errs 0\ncorruption_errs 0\n",
            "qgroups/enabled": "1\n",
            "qgroups/mode": "squota\n",
            "allocation/metadata/bytes_used": str(10 * MIB),
            "allocation/metadata/total_bytes": str(32 * MIB),
            "allocation/metadata/disk_total": str(32 * MIB),
            "allocation/data/disk_total": str(8 * MIB),
        }.items():
            self.put(path, text)
        self.scrub(days=3)

    def put(self, path: str, text: str) -> None:
        (self.sys / path).parent.mkdir(parents=True, exist_ok=True)
        (self.sys / path).write_text(text)

    def scrub(self, *, days: float, finished: int = 1) -> None:
        place = self.home / "scrubs"
        place.mkdir(exist_ok=True)
        at = int(time.time() - days * 86_400)
        text = (
            f"scrub status:1\n{UUID}:1|data_extents_scrubbed:9|t_start:{at}|t_resumed:0|finished:{finished}\n"
        )
        (place / f"scrub.status.{UUID}").write_text(text)

    def found(self) -> dict[str, Check]:
        (self.home / "node" / "node.json").write_text(json.dumps(self.settings))
        return {one.name: one for one in pool_checks.examine(Layout(self.home))}


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    monkeypatch.setattr(pool_checks, "SYS", tmp_path / "sys")
    monkeypatch.setattr(pool_checks, "SCRUBS", tmp_path / "scrubs")
    return Seen(tmp_path)


def test_all_is_well(seen: Seen) -> None:
    found = seen.found()
    assert {one.level for one in found.values()} == {"ok"}
    assert set(found) == {
        *("pool", "pool's file", "pool's disk", "pool's quotas", "pool's metadata", "pool's scrub")
    }
    assert "sparse" in found["pool"].found


def test_there_is_no_node(tmp_path: Path) -> None:
    assert list(pool_checks.examine(Layout(tmp_path))) == []


def test_errors_of_the_disk_are_counted(seen: Seen) -> None:
    seen.put("devinfo/1/error_stats", "write_errs 0\nread_errs 2\ncorruption_errs 5\n")
    seen.put("devinfo/2/error_stats", "read_errs 1\n")
    found = seen.found()["pool's disk"]
    assert (found.level, "3 read, 5 corruption" in found.found) == ("missing", True)


def test_quotas_are_off(seen: Seen) -> None:
    seen.put("qgroups/enabled", "0\n")
    assert seen.found()["pool's quotas"].level == "missing"


def test_metadata_is_nearly_full_and_nothing_is_left_to_take(seen: Seen) -> None:
    seen.put("allocation/metadata/bytes_used", str(31 * MIB))
    found = seen.found()["pool's metadata"]
    assert (found.level, "31 of 32 MiB" in found.found) == ("weak", True)
    os.truncate(seen.file, 4096 * MIB)  # room to take another piece of
    assert seen.found()["pool's metadata"].level == "ok"


@pytest.mark.parametrize(("days", "finished", "level"), [(34, 1, "ok"), (36, 1, "weak"), (1, 0, "weak")])
def test_the_last_scrub(seen: Seen, days: int, finished: int, level: str) -> None:
    seen.scrub(days=days, finished=finished)
    assert seen.found()["pool's scrub"].level == level


def test_no_scrub_and_not_mounted(seen: Seen) -> None:
    (seen.home / "scrubs" / f"scrub.status.{UUID}").unlink()
    found = seen.found()["pool's scrub"]
    assert "never" in found.found
    assert found.remedy.startswith(
        f"nsenter --mount={seen.home}/node/ns/mnt btrfs scrub start {seen.home}/node/store"
    )
    seen.settings["pool_uuid"] = "gone"
    found = seen.found()
    assert (found["pool"].level, found["pool"].remedy) == ("weak", "./wadah up")


def test_what_its_file_has_of_the_disk(seen: Seen) -> None:
    seen.settings["pool_is_written"] = True
    assert seen.found()["pool's file"].level == "weak"  # holes in what was made without
    seen.settings["pool_is_written"] = False
    os.truncate(seen.file, 2**43)
    found = seen.found()["pool's file"]
    assert (found.level, "writes fail" in found.why) == ("weak", True)

"""Ranges of ids that useradd gives to users of an environment lie within its own ids, and it never fails."""

import os
import subprocess
from pathlib import Path

import pytest

from runtime.images.nested import SUBORDINATE_IDS


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    for name in ("subuid", "subgid"):
        (tmp_path / name).write_text("")
    return tmp_path


def _added(etc: Path, name: str, first: int, ids: int = 65536) -> None:
    """A user, as useradd(8) leaves him, and what runs after it."""
    for file in ("subuid", "subgid"):
        with (etc / file).open("a") as table:
            table.write(f"{name}:{first}:{ids}\n")
    script = SUBORDINATE_IDS.replace("/etc/", f"{etc}/")
    environment = {"PATH": os.environ["PATH"], "SUBJECT": name}
    subprocess.run(["/bin/sh", "-c", script], env=environment, check=True, timeout=20)


def test_it_is_within_the_environments_ids_in_both_files(etc: Path) -> None:
    _added(etc, "budi", 100_000)
    assert (etc / "subuid").read_text() == (etc / "subgid").read_text() == "budi:10000:9000\n"


def test_nobody_shares_a_range_and_who_comes_late_has_none(etc: Path) -> None:
    for number in range(9):
        _added(etc, f"u{number}", 100_000 + number * 65536)
    lines = [line.split(":") for line in (etc / "subuid").read_text().splitlines()]
    taken = [set(range(int(first), int(first) + int(ids))) for _, first, ids in lines]
    assert [name for name, *_ in lines] == [f"u{number}" for number in range(6)]
    assert len(set.union(*taken)) == sum(len(one) for one in taken)
    assert max(set.union(*taken)) < 65_536 - 2, "nobody and nogroup are nobody's"


def test_a_range_that_is_free_again_is_given_again(etc: Path) -> None:
    _added(etc, "budi", 100_000)
    _added(etc, "sari", 165_536)
    for file in ("subuid", "subgid"):
        (etc / file).write_text("sari:19000:9000\n")  # userdel budi
    _added(etc, "tono", 100_000)
    assert (etc / "subuid").read_text() == "sari:19000:9000\ntono:10000:9000\n"


def test_what_somebody_chose_stays_and_is_nobody_elses(etc: Path) -> None:
    for file in ("subuid", "subgid"):
        (etc / file).write_text("budi:12000:30000\n")
    _added(etc, "sari", 60_000, 5000)
    _added(etc, "tono", 100_000)
    assert (etc / "subuid").read_text() == "budi:12000:30000\nsari:60000:5000\ntono:46000:9000\n"

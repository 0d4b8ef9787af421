"""A repository that somebody else has had in hand: nothing of it makes the node wait."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from runtime.backups.places import Access
from runtime.backups.repository import Restic
from runtime.errors import RuntimeFault
from runtime.node import Node
from tests.host.backups.conftest import PASSWORD, Desk, left
from tests.host.conftest import Make
from tests.host.support.inside import sh

pytestmark = pytest.mark.timeout(200)


def _fifo_in_place_of_a_key(place: Path) -> None:
    key = next((place / "keys").iterdir())
    key.unlink()
    os.mkfifo(key)


def _a_key_that_takes_an_hour(place: Path) -> None:
    key = next((place / "keys").iterdir())
    document = json.loads(key.read_text()) | {"p": 2**20}
    key.chmod(0o600)
    key.write_text(json.dumps(document))


def test_who_waits_for_a_file_of_one_that_never_answers_is_told_in_time(
    giving: Node, make: Make, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two downloads held two of the six places of all tenants for ever, whoever had asked and hung up."""
    spec = make()
    sh(giving, spec, "echo one > /root/note")
    made, kept = desk.back_up(spec), desk.place.with_name("kept")
    monkeypatch.setattr("runtime.backups.repository.LOOK_S", 2.0)
    shutil.copytree(desk.place, kept)
    for spoil in (_fifo_in_place_of_a_key, _a_key_that_takes_an_hour):
        with pytest.raises(RuntimeFault) as refused:
            _read_spoilt(desk, kept, made.snapshot, spoil)
        assert refused.value.code in ("too_long", "backup_failed", "repository_damaged"), spoil.__name__
        assert left(giving) == []


def _read_spoilt(desk: Desk, kept: Path, snapshot: str, spoil: Callable[[Path], None]) -> bytes:
    owner = desk.place.stat()
    shutil.rmtree(desk.place)
    shutil.copytree(kept, desk.place)
    spoil(desk.place)
    for one in (desk.place, *desk.place.rglob("*")):
        os.chown(one, owner.st_uid, owner.st_gid)
    restic = Restic(desk.node, Access(desk.place), PASSWORD, str(uuid4()))
    with restic.dumped(snapshot, "/root/note", is_archive=False) as pieces:
        return b"".join(pieces)

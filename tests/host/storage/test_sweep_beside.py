"""A sweep of what nobody owns, beside what is just being made: it has no owner yet that files would tell of."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from runtime.backups.fetched import Fetched
from runtime.contract import ObservedState
from runtime.engine import Engine
from runtime.host import btrfs
from runtime.node import Node
from runtime.resources.volume import RootVolume
from runtime.storage.bases import Bases
from tests.host.conftest import Make
from tests.host.support.disks import Disks


def test_a_root_that_is_made_in_the_middle_of_a_sweep_keeps_its_quota_group(
    make: Make, engine: Engine, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_it, swept = threading.Event(), threading.Event()
    snapshot, made = btrfs.snapshot, []

    def late(source: Path, path: Path, **more: Any) -> None:
        at_it.set()
        assert swept.wait(20)
        snapshot(source, path, **more)

    making = threading.Thread(target=lambda: made.append(make()))

    def begin(_: Bases) -> int:
        monkeypatch.setattr(btrfs, "snapshot", late)
        making.start()
        assert at_it.wait(20)
        return 0

    monkeypatch.setattr(Bases, "sweep", begin)
    try:
        RootVolume(node).sweep()
    finally:
        swept.set()
        making.join(60)
    assert [engine.observe(one.id)[0] for one in made] == [ObservedState.RUNNING]


def test_a_volume_that_is_made_beside_a_sweep_keeps_its_quota_group(
    disks: Disks, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    create: Callable[..., None] = btrfs.create_subvolume
    sweeps: list[threading.Thread] = []

    def late(path: Path, **more: Any) -> None:
        sweeps.append(threading.Thread(target=RootVolume(node).sweep))
        sweeps[-1].start()
        sweeps[-1].join(0.5)
        create(path, **more)

    monkeypatch.setattr(btrfs, "create_subvolume", late)
    volume = disks.new(32)
    monkeypatch.undo()
    for one in sweeps:
        one.join(20)
    assert disks.volumes.is_there(volume)
    assert disks.volumes.quotas.limit_bytes(1, RootVolume.number(volume)) == 32 * 2**20


def test_a_backup_that_comes_in_the_middle_of_a_sweep_stays(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched, owner = Fetched(node), uuid4()
    fetched.make_directory()
    path, records = fetched.path(owner, uuid4()), node.root / "environments" / str(owner)
    listed = Path.iterdir

    def begun(directory: Path) -> Any:
        if directory == fetched.directory and not path.exists():
            records.mkdir()
            btrfs.create_subvolume(path)
        return listed(directory)

    monkeypatch.setattr(Path, "iterdir", begun)
    try:
        fetched.sweep()
        assert path.is_dir()
    finally:
        monkeypatch.undo()
        btrfs.delete_subvolume(path)
        records.rmdir()

"""What is changed or taken away by hand comes back; what nobody wants goes; unknown data is kept."""

import os
import signal
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runtime.contract import (
    DesiredState,
    EnvironmentSpec,
    EventCode,
    ObservedState,
    Report,
    RestartPolicy,
)
from runtime.engine import Engine
from runtime.host import btrfs, libc, nft
from runtime.host.cgroup import version
from runtime.host.cgroup.legacy import LegacyGroups
from runtime.host.cgroup.unified import UnifiedGroups
from runtime.host.rtnetlink import Rtnetlink
from runtime.node import Node
from runtime.resources import firewall
from runtime.resources.volume import RootVolume
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.container import init_pid
from runtime.state import Records
from tests.faults.node.support import assert_whole, in_process
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs


def command(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=20)


def delete_route(node: Node, spec: EnvironmentSpec) -> None:
    command("ip", "route", "del", str(spec.network.ipv4[0]))


def flush_table(node: Node, spec: EnvironmentSpec) -> None:
    command("nft", "flush", "table", "inet", node.table_name)


def delete_table(node: Node, spec: EnvironmentSpec) -> None:
    nft.change([{"delete": {"table": {"family": "inet", "name": node.table_name}}}])


def delete_link(node: Node, spec: EnvironmentSpec) -> None:
    command("ip", "link", "del", node.link_name(spec.id))


def link_down(node: Node, spec: EnvironmentSpec) -> None:
    command("ip", "link", "set", node.link_name(spec.id), "down")


def change_memory(node: Node, spec: EnvironmentSpec) -> None:
    path = Cgroup(node).path(spec)
    for file in (
        Path("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes"),
        Path("/sys/fs/cgroup", path, "memory.max"),
    ):
        if file.exists():
            file.write_text(str(100 * 2**20))


def change_processes(node: Node, spec: EnvironmentSpec) -> None:
    for top in ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"):
        file = Path(top, Cgroup(node).path(spec), "pids.max")
        if file.exists():
            file.write_text("max")


def change_disk(node: Node, spec: EnvironmentSpec) -> None:
    btrfs.limit_qgroup(node.store, btrfs.qgroup_id(1, RootVolume.number(spec.id)), None)


def leave_what_a_start_mounts(node: Node, spec: EnvironmentSpec) -> None:
    point = node.mount_point(spec.id)
    point.mkdir()
    libc.mount(str(node.root_volume(spec.id)), str(point), "", libc.MS_BIND)


def kill_all(node: Node, spec: EnvironmentSpec) -> None:
    """Init, and the control group with it as far as the kernel lets it go."""
    pid = init_pid(node, spec.id)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    Cgroup(node).kill(spec.id)
    while init_pid(node, spec.id) is not None:
        pass
    Cgroup(node).remove(spec.id)


KEEPS_RUNNING = [
    delete_route,
    flush_table,
    delete_table,
    delete_link,
    link_down,
    change_memory,
    change_processes,
    change_disk,
    leave_what_a_start_mounts,
]


@pytest.mark.parametrize("by_hand", [*KEEPS_RUNNING, kill_all], ids=lambda one: one.__name__)
def test_it_comes_back_and_is_told(
    make: Make, node: Node, by_hand: Callable[[Node, EnvironmentSpec], None]
) -> None:
    spec = make()
    pid = init_pid(node, spec.id)
    by_hand(node, spec)
    told: list[Report] = []
    mended = Engine(node, told.append).reconcile()
    assert set(mended) == {spec.id}
    event = told[-1].events[0]
    assert (event.code, event.message) == (EventCode.REPAIRED, mended[spec.id])
    assert told[-1].state is ObservedState.RUNNING
    assert Engine(node).reconcile() == {}
    assert (init_pid(node, spec.id) == pid) is (by_hand is not kill_all)
    assert str(spec.network.ipv4[0]) in sh(node, spec, "ip addr show eth0; touch /root/writes")
    assert_whole(node)


def test_two_who_look_at_once_mend_each_once(make: Make, node: Node) -> None:
    """R07: told once, too."""
    specs_ = [make() for _ in range(4)]
    for spec in specs_:
        delete_link(node, spec)
    reading, writing = os.pipe()

    def look() -> None:
        told: list[Report] = []
        Engine(node, told.append).reconcile()
        repaired = [one for one in told if one.events]
        os.write(writing, b"".join(one.environment_id.bytes for one in repaired))

    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                look()
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 3
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        ids = said.read()
    found = sorted(uuid.UUID(bytes=ids[at : at + 16]) for at in range(0, len(ids), 16))
    assert found == sorted(spec.id for spec in specs_)
    assert_whole(node)


def test_a_change_of_the_node_s_time_zone_changes_nothing(make: Make, node: Node, specs: Specs) -> None:
    """All times are kept as seconds since the epoch, and told in UTC."""
    spec = make(restart=RestartPolicy(first_delay_s=30))
    pid = init_pid(node, spec.id)
    os.kill(pid or 0, signal.SIGKILL)
    while init_pid(node, spec.id) is not None:
        pass
    assert Engine(node).on_exit(spec.id, 137) == 30
    last = 0

    def in_zone() -> None:
        time.tzset()
        told: list[Report] = []
        engine = Engine(node, told.append)
        assert engine.reconcile() == {}, "nothing is due earlier, or later"
        other = engine.apply(specs.new(desired=DesiredState.STOPPED))
        assert other is not None
        assert abs((datetime.now(UTC) - other.at).total_seconds()) < 30
        assert other.sequence > last
        gone = EnvironmentSpec.model_validate(
            {**Records(node, other.environment_id).wanted().model_dump(), "generation": 2, "desired": "deleted"}  # type: ignore[union-attr]
        )
        assert engine.apply(gone).state is ObservedState.DELETED  # type: ignore[union-attr]

    with pytest.MonkeyPatch.context() as patch:
        for zone in ("Pacific/Kiritimati", "America/Adak", "UTC"):
            patch.setenv("TZ", zone)
            assert in_process(in_zone) == 0
            report = Engine(node).current_report(spec.id)
            assert report is not None
            assert report.sequence > last
            last = report.sequence


def test_a_lost_root_is_told_and_no_empty_one_takes_its_place(make: Make, node: Node, specs: Specs) -> None:
    spec = make()
    engine = Engine(node)
    stopped = specs.change(spec, desired=DesiredState.STOPPED, stop_timeout_s=0)
    engine.apply(stopped)
    aside = node.store / f"aside-{spec.id}"
    node.root_volume(spec.id).rename(aside)
    assert engine.missing() == {spec.id: "its root volume is gone"}
    told: list[Report] = []
    Engine(node, told.append).reconcile()
    assert told[-1].code == "root_lost"
    assert not node.root_volume(spec.id).exists()
    aside.rename(node.root_volume(spec.id))
    engine.reconcile()
    report = engine.apply(specs.change(stopped, desired=DesiredState.RUNNING))
    assert report is not None
    assert (report.state, report.code) == (ObservedState.RUNNING, "")


def test_what_nobody_wants_goes_after_its_grace(make: Make, node: Node) -> None:
    """An environment whose records went with a deletion that was cut off: each of its objects is found."""
    spec = make()
    pid = init_pid(node, spec.id)
    os.kill(pid or 0, signal.SIGKILL)
    Records(node, spec.id).bury(spec.generation)
    # long ago: what was deleted just now is given time to go by itself
    os.utime(node.root / "tombstones" / str(spec.id), (0, 0))
    engine = Engine(node)
    found = engine.leaks()
    assert {one.resource for one in found} >= {"id range", "limits (cgroup)", "root volume"}
    assert engine.reconciler.clean_up(grace_s=60) == []
    assert engine.leaks() == found, "it is left alone while its grace lasts"
    engine.reconciler.clean_up(grace_s=0)
    assert engine.leaks() == []
    # its data was put aside, and goes when a person says so
    volume = RootVolume(node)
    (name,) = [one for one in volume.quarantined() if one.startswith(str(spec.id))]
    assert (node.quarantine / name / "root" / "etc").is_dir()
    volume.delete_quarantined(name)
    assert volume.quarantined() == []
    assert_whole(node)


def test_what_runs_without_a_record_is_told_and_not_ended(make: Make, node: Node) -> None:
    spec = make()
    aside = node.root / f"aside-{spec.id}"
    node.environment(spec.id).rename(aside)
    engine = Engine(node)
    try:
        assert {one.environment_id for one in engine.leaks()} == {spec.id}
        assert engine.reconciler.clean_up(grace_s=0) == []
    finally:
        aside.rename(node.environment(spec.id))
    assert init_pid(node, spec.id) is not None
    assert sh(node, spec, "echo here") == "here"


def test_an_unknown_volume_is_put_aside(node: Node) -> None:
    stray = node.store / "environments" / "somebody's"
    stray.mkdir()
    btrfs.create_subvolume(stray / "root")
    (stray / "root" / "letter").write_text("dear")
    engine = Engine(node)
    engine.reconciler.clean_up(grace_s=0)
    volume = RootVolume(node)
    (name,) = volume.quarantined()
    assert (node.quarantine / name / "root" / "letter").read_text() == "dear"
    assert engine.leaks() == []
    volume.delete_quarantined(name)


RECORDS = ["wanted.json", "applied.json", "state.json", "journal.jsonl", "firewall.json"]


@pytest.mark.parametrize("content", ["", '{"id": 7}', "\x00" * 64], ids=repr)
@pytest.mark.parametrize(
    "name", ["wanted.json", "applied.json", "state.json", "journal.jsonl", "firewall.json"]
)
def test_a_damaged_record_jams_nothing(make: Make, node: Node, specs: Specs, name: str, content: str) -> None:
    """As after a power loss: it goes on by what is left, and the next spec writes all anew."""
    spec, other = make(), make()
    (node.environment(spec.id) / name).write_text(content)
    assert in_process(lambda: Engine(node).reconcile()) == 0
    assert init_pid(node, spec.id) is not None
    assert Engine(node).leaks() == []
    for one in (spec, other):
        report = Engine(node).apply(specs.change(one, name="renamed"))
        assert report is not None
        assert (report.code, report.state) == ("", ObservedState.RUNNING), report.message
    assert_whole(node)


def test_when_every_record_is_damaged_it_runs_on_and_a_new_spec_heals_it(
    make: Make, node: Node, specs: Specs
) -> None:
    spec = make()
    pid = init_pid(node, spec.id)
    for name in ("wanted.json", "applied.json", "state.json"):
        (node.environment(spec.id) / name).write_text("")
    engine = Engine(node)
    assert engine.reconcile() == {}
    engine.reconciler.clean_up(grace_s=0)
    assert engine.missing() == {spec.id: "its records can't be read"}
    report = engine.apply(specs.change(spec, name="healed"))
    assert report is not None
    assert (report.state, report.init_pid, report.code) == (ObservedState.RUNNING, pid, "")
    assert_whole(node)


def test_a_pid_that_another_process_has_by_now_is_not_taken_for_init(make: Make, node: Node) -> None:
    """As after a reboot: the file outlived its process, and its number was given out again."""
    spec = make()
    other = subprocess.Popen(["sleep", "600"])
    try:
        kill_all(node, spec)
        (node.environment(spec.id) / "init.pid").write_text(str(other.pid))
        assert init_pid(node, spec.id) is None
        Engine(node).reconcile()
        assert init_pid(node, spec.id) not in (None, other.pid)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_an_empty_directory_of_a_spec_that_never_came_goes(node: Node) -> None:
    node.environment(uuid.uuid4()).mkdir()
    Engine(node).reconcile()
    assert_whole(node)
    assert list((node.root / "environments").iterdir()) == []


def test_a_round_asks_the_kernel_once_for_all(
    make: Make, node: Node, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        make()
    asked: Counter[str] = Counter()

    def counted(of: object, name: str) -> None:
        real = getattr(of, name)

        def ask(*arguments: object, **named: object) -> object:
            asked[name] += 1
            return real(*arguments, **named)

        monkeypatch.setattr(of, name, ask)

    for name in ("link", "links", "host_routes", "all_host_routes", "queues", "has_ingress_queue"):
        counted(Rtnetlink, name)
    counted(firewall, "_look")
    counted(LegacyGroups if version() == 1 else UnifiedGroups, "whole")
    assert engine.reconcile() == {}
    assert asked == dict.fromkeys(["links", "all_host_routes", "queues", "_look", "whole"], 1)

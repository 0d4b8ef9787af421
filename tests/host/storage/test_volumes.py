"""Volumes on a real kernel: attached and detached while environments run, held to their size, no way out."""

import uuid

import pytest

from runtime.contract import AttachedVolume, DesiredState, ObservedState
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.jobs.volumes import is_held
from runtime.node import Node
from tests.host.conftest import Make
from tests.host.support.disks import TENANT, Disks
from tests.host.support.inside import attempt, sh
from tests.host.support.laboratory import inside


def test_attached_live_it_keeps_what_is_written_with_the_ids_that_are_seen_inside(
    disks: Disks, make: Make, node: Node
) -> None:
    spec, volume = make(), disks.new()
    spec = disks.attach(spec, volume)
    sh(node, spec, "echo kept > /mnt/data/note; touch /mnt/data/his; chown 1000:1000 /mnt/data/his")
    assert sh(node, spec, "stat -c '%u %a' /mnt/data; stat -c %u /mnt/data/his") == "0 755\n1000"
    assert (disks.volumes.path(volume) / "his").stat().st_uid == 1000
    spec, report = disks.apply(spec, volumes=())
    assert not report.code, report.message
    assert sh(node, spec, "ls /mnt/data; grep -c data /proc/mounts || true") == "0"
    other = disks.attach(make(), volume, "/srv/found/again")
    assert sh(node, other, "cat /srv/found/again/note; stat -c %u /srv/found/again/his") == "kept\n1000"


def test_it_is_there_after_a_restart_and_before_anything_runs(disks: Disks, make: Make, node: Node) -> None:
    spec = disks.attach(make(), disks.new())
    sh(
        node,
        spec,
        "echo kept > /mnt/data/note; printf '#!/bin/sh\\ncat /mnt/data/note > /seen\\n' > /etc/boot; sync",
    )
    spec, report = disks.apply(spec, boots=spec.boots + 1)
    assert report.state is ObservedState.RUNNING
    assert sh(node, spec, "cat /mnt/data/note") == "kept"
    spec, report = disks.apply(spec, desired=DesiredState.STOPPED, stop_timeout_s=0)
    assert report.state is ObservedState.STOPPED
    spec, report = disks.apply(spec, desired=DesiredState.RUNNING)
    assert sh(node, spec, "cat /mnt/data/note") == "kept"


def test_its_size_holds_and_grows_live(disks: Disks, make: Make, node: Node) -> None:
    spec, volume = make(), disks.new(32)
    spec = disks.attach(spec, volume)
    code, said = attempt(node, spec, "dd if=/dev/urandom of=/mnt/data/much bs=1M count=48 2>&1; sync")
    assert "quota" in said.lower() or "space" in said.lower(), said
    assert disks.volumes.used_bytes(volume) <= 32 * 2**20
    with pytest.raises(RuntimeFault) as refused:
        disks.volumes.keep(volume, TENANT, 16, is_new=False)
    assert refused.value.code == "below_used"
    disks.volumes.keep(volume, TENANT, 96, is_new=False)
    code, said = attempt(node, spec, "dd if=/dev/urandom of=/mnt/data/more bs=1M count=40 2>&1 && sync")
    assert code == 0, said


def test_read_only_holds_against_root_inside(disks: Disks, make: Make, node: Node) -> None:
    volume = disks.new()
    writer = disks.attach(make(), volume)
    sh(node, writer, "echo shared > /mnt/data/note")
    reader = disks.attach(make(), volume, read_only=True)
    tries = (
        "echo x > /mnt/data/x",
        "mount -o remount,rw /mnt/data && echo x > /mnt/data/x",
        "mount -o remount,bind,rw /mnt/data && echo x > /mnt/data/x",
        "mkdir /other; mount -o bind /mnt/data /other && mount -o remount,bind,rw /other && echo x > /other/x",
        "rm -f /mnt/data/note",
    )
    for one in tries:
        code, said = attempt(node, reader, one)
        assert code != 0, f"{one}: {said}"
    assert sh(node, reader, "cat /mnt/data/note; ls /mnt/data") == "shared\nnote"
    assert sh(node, writer, "echo more >> /mnt/data/note; cat /mnt/data/note") == "shared\nmore"


@pytest.mark.parametrize("option", ["dev", "suid"])
def test_neither_devices_nor_set_ids_act_on_it(disks: Disks, make: Make, node: Node, option: str) -> None:
    spec = disks.attach(make(), disks.new())
    code, said = attempt(node, spec, f"mount -o remount,bind,{option} /mnt/data")
    flags = sh(node, spec, "grep ' /mnt/data ' /proc/mounts")
    assert f"no{option}" in flags.split()[3].split(","), f"{code} {said}"


def test_what_is_in_use_is_not_taken_away_and_who_holds_it_is_said(
    disks: Disks, make: Make, node: Node
) -> None:
    spec, volume = make(), disks.new()
    attached = disks.attach(spec, volume)
    sh(node, attached, "cd /mnt/data; exec >note 2>&1 </dev/null; sleep 1000 &")
    spec, report = disks.apply(attached, volumes=())
    assert report.code == "volume_held"
    assert str(report.message).startswith("/mnt/data is in use by sleep.")
    assert report.state is ObservedState.RUNNING
    assert "note" in sh(node, attached, "ls /mnt/data")
    assert is_held(node, volume)
    with pytest.raises(RuntimeFault) as refused:
        disks.volumes.drop(volume, is_held=lambda one: is_held(node, one))
    assert refused.value.code == "volume_held"
    sh(node, attached, "kill $(pidof sleep)")
    _, report = disks.apply(spec.model_copy(update={"volumes": attached.volumes}), volumes=())
    assert not report.code, report.message


def test_a_namespace_of_ones_own_holds_it_too(disks: Disks, make: Make, node: Node) -> None:
    spec = disks.attach(make(), disks.new())
    sh(
        node,
        spec,
        "unshare -m sh -c 'mount --make-rprivate /; exec sleep 1000' >/dev/null 2>&1 </dev/null & sleep 0.5",
    )
    _, report = disks.apply(spec, volumes=())
    assert report.code == "volume_held", report.message
    assert "in use by sleep" in str(report.message)
    sh(node, spec, "kill $(pidof sleep); ls /mnt/data")


@pytest.mark.parametrize(
    "odd",
    [
        "ln -s /etc /srv",
        "ln -s /proc/1/root /srv",
        "mkfifo /srv",
        "echo file > /srv",
        "mkdir /srv; ln -s ../etc /srv/data",
        "mkdir /srv; mount -t tmpfs none /srv",
    ],
)
def test_a_place_that_is_none_is_refused_and_nothing_changes(
    disks: Disks, make: Make, node: Node, odd: str
) -> None:
    spec = make()
    sh(node, spec, f"rm -rf /srv; {odd}; find /etc /srv > /before")
    one = AttachedVolume(volume_id=disks.new(), path="/srv/data")
    _, report = disks.apply(spec, volumes=(one,))
    assert report.code == "no_place", report.message
    assert (
        sh(node, spec, "find /etc /srv | diff - /before; grep -c /volumes/ /proc/self/mountinfo || true") == "0"
    )


def test_a_root_that_was_made_private_says_so(disks: Disks, make: Make, node: Node) -> None:
    spec = make()
    sh(node, spec, "mount --make-rprivate /")
    spec, report = disks.apply(spec, volumes=(AttachedVolume(volume_id=disks.new(), path="/mnt/data"),))
    assert report.code == "root_is_private", report.message
    assert report.state is ObservedState.RUNNING


def test_one_that_is_not_there_is_refused(disks: Disks, make: Make, node: Node) -> None:
    _, report = disks.apply(make(), volumes=(AttachedVolume(volume_id=uuid.uuid4(), path="/mnt/data"),))
    assert report.code == "volume_missing"
    with pytest.raises(RuntimeFault) as refused:
        disks.volumes.keep(uuid.uuid4(), TENANT, 64, is_new=False)
    assert refused.value.code == "volume_lost"


def test_what_was_unmounted_inside_comes_back(disks: Disks, make: Make, node: Node, engine: Engine) -> None:
    spec = disks.attach(make(), disks.new())
    sh(node, spec, "umount /mnt/data")
    engine.reconcile()
    assert sh(node, spec, "grep -c ' /mnt/data ' /proc/mounts") == "1"


def test_mounts_of_ones_own_on_it_stay_and_hinder_no_other_change(disks: Disks, make: Make, node: Node) -> None:
    spec = disks.attach(make(), disks.new())
    sh(
        node,
        spec,
        "mkdir -p /mnt/data/www /srv/www; mount --bind /mnt/data/www /srv/www; mount --bind /mnt/data /opt",
    )
    sh(node, spec, "cd /srv/www; exec sleep 1000 >/dev/null 2>&1 </dev/null &")
    spec, report = disks.apply(spec, limits=spec.limits.model_copy(update={"memory_mb": 100}))
    assert not report.code, report.message
    assert sh(node, spec, "grep -c -E ' (/srv/www|/opt) ' /proc/mounts") == "2"
    _, report = disks.apply(spec, volumes=())
    assert report.code == "volume_held", report.message


def test_a_name_that_cannot_be_told_is_refused_with_a_sentence(disks: Disks, make: Make, node: Node) -> None:
    spec = disks.attach(make(), disks.new())
    sh(node, spec, 'd=$(printf \'/odd\\377\\n\'); mkdir "$d"; mount --bind /mnt/data "$d"')
    _, report = disks.apply(spec, volumes=())
    assert report.code == "volume_held", report.message
    assert "also mounted at" in str(report.message)


def test_nobody_makes_believe_that_he_has_a_volume(disks: Disks, make: Make, node: Node) -> None:
    """What a mount is called is its owner's to choose."""
    volume, spec = disks.new(), make()
    sh(node, spec, f"mkdir /own; mount -t tmpfs none /own; mkdir -p /own/volumes/{volume} /mnt/data")
    sh(node, spec, f"mount --bind /own/volumes/{volume} /mnt/data")
    assert not is_held(node, volume)
    sh(node, spec, "umount /mnt/data")
    sh(node, disks.attach(spec, volume), "touch /mnt/data/real")
    assert (disks.volumes.path(volume) / "real").exists()


@pytest.mark.parametrize("in_place", [False, True])
def test_what_is_written_in_place_is_so_in_every_directory_and_held_to_its_size(
    disks: Disks, make: Make, node: Node, image: str, in_place: bool
) -> None:
    spec = disks.attach(make(image=image), disks.new(32, in_place=in_place))

    def extents() -> list[str]:
        """Where the first block of a file lies, before and after it was written over."""
        import os
        import struct
        from fcntl import ioctl

        os.makedirs("/mnt/data/pg/base")
        file = os.open("/mnt/data/pg/base/table", os.O_RDWR | os.O_CREAT)
        found = []
        for byte in (b"a", b"b"):
            os.pwrite(file, byte * 65536, 0)
            os.fsync(file)
            extent = bytearray(struct.pack("=QQIIII", 0, 65536, 0, 0, 1, 0) + bytes(56))  # FS_IOC_FIEMAP
            ioctl(file, 0xC020660B, extent)
            found.append(str(struct.unpack_from("=QQ", extent, 32)[1]))
        return found

    before, after = inside(node, spec, extents)
    assert (before == after) is in_place
    _, said = attempt(node, spec, "dd if=/dev/zero of=/mnt/data/fill bs=1M count=60 conv=fsync")
    assert "uota exceeded" in said
    assert sum(disks.volumes.used_bytes(one) for one in disks.made) <= 33 * 2**20

"""What a jail is made of: a base that others share and nobody changes, a tree of its own, or nothing yet."""

import os
import uuid
from collections.abc import Callable

import pytest

from runtime.contract import (
    Allow,
    AttachedVolume,
    Base,
    DesiredState,
    EnvironmentSpec,
    JailOptions,
    Kind,
    ObservedState,
    Origin,
    Report,
    Rescue,
    RestartMode,
    RestartPolicy,
)
from runtime.engine import Engine
from runtime.node import Node
from runtime.resources.volume import RootVolume
from runtime.storage.bases import KEPT_S, Bases
from runtime.storage.snapshots import Snapshots
from runtime.storage.volumes import Volumes
from tests.host.conftest import Make
from tests.host.support.inside import attempt, sh
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until

Change = Callable[..., EnvironmentSpec]


@pytest.fixture
def change(engine: Engine, specs: Specs) -> Change:
    def apply(spec: EnvironmentSpec, **fields: object) -> EnvironmentSpec:
        changed = specs.change(spec, **fields)
        report = engine.apply(changed)
        assert report is not None
        assert not report.code, f"{report.code}: {report.message}"
        return changed

    return apply


def _jail(make: Make, image: str, **options: object) -> EnvironmentSpec:
    return make(kind=Kind.JAIL, image=image, jail=JailOptions.model_validate(options))


#: By these two the kernel knows a file, and keeps what was read of it once.
_WHICH = "stat -c '%d %i' /usr/bin/env /bin/busybox"


def test_freebsd_jail_thin_ones_share_the_pages_of_one_base(node: Node, make: Make, busybox: str) -> None:
    one, two = (_jail(make, busybox) for _ in range(2))
    thick = _jail(make, busybox, base=Base.THICK)
    assert sh(node, one, _WHICH) == sh(node, two, _WHICH)
    assert sh(node, one, _WHICH) != sh(node, thick, _WHICH)
    for spec in (one, two):
        assert sh(node, spec, "stat -c '%u %g' /usr /bin/busybox /etc/passwd") == "0 0\n0 0\n0 0"


def test_freebsd_jail_thin_base_is_read_only_whatever_is_allowed(node: Node, make: Make, image: str) -> None:
    """With all that may be allowed: neither written to, nor taken away, nor uncovered, nor made writable."""
    spec = _jail(make, image, allow=tuple(Allow), children_max=1)
    for attack in (
        "touch /usr/mine",
        "rm -rf /usr/bin/env",
        "mv /usr /usr.away",
        "umount /usr",
        "umount -l /usr",
        "mount -o remount,rw /usr",
        "mount -o remount,bind,rw /usr",
        "mount --bind / /mnt && touch /mnt/usr/mine",
        "mount --rbind / /mnt && umount /mnt/usr && touch /mnt/usr/mine",
        "mount --rbind / /mnt && touch /mnt/usr/mine",
    ):
        code, said = attempt(node, spec, attack)
        assert code != 0, f"{attack}: {said}"
    assert sh(node, spec, "mkdir /etc/mine && touch /etc/mine/x && ls /etc/mine") == "x"
    base = Bases(node)
    assert not (base.path(base.key_of(node.root_volume(spec.id))) / "usr/mine").exists()


def test_what_a_thin_jail_sees_names_nothing_of_the_host(node: Node, make: Make, busybox: str) -> None:
    spec = _jail(make, busybox)
    seen = sh(node, spec, "cat /proc/self/mountinfo /proc/mounts")
    assert str(node.home) not in seen
    assert sh(node, spec, "df / | tail -n 1 | awk '{print $NF}'") == "/"


def test_a_thick_jail_is_its_own_through_and_through(node: Node, make: Make, busybox: str) -> None:
    spec = _jail(make, busybox, base=Base.THICK)
    assert sh(node, spec, "touch /usr/mine && ls /usr/mine") == "/usr/mine"


def test_freebsd_jail_empty_one_starts_when_it_was_filled(
    node: Node, make: Make, change: Change, engine: Engine, specs: Specs, busybox: str
) -> None:
    options = JailOptions(base=Base.EMPTY, command=("/bin/busybox", "sleep", "1000"))
    spec = make(kind=Kind.JAIL, image="empty", jail=options, desired=DesiredState.STOPPED)
    root = node.root_volume(spec.id)
    assert sorted(one.name for one in root.iterdir()) == [
        "dev",
        "etc",
        "home",
        "proc",
        "root",
        "run",
        "sys",
        "tmp",
        "var",
    ]
    refused = engine.apply(specs.change(spec, jail=JailOptions(base=Base.EMPTY), desired=DesiredState.RUNNING))
    assert refused is not None
    assert refused.code == "jail_empty"
    (root / "bin").mkdir()
    program = (node.image(busybox) / "bin/busybox").read_bytes()
    (root / "bin/busybox").write_bytes(program)
    (root / "bin/busybox").chmod(0o755)
    (root / "bin/sh").symlink_to("busybox")
    spec = change(spec, generation=spec.generation + 2, desired=DesiredState.RUNNING)
    assert sh(node, spec, "/bin/busybox hostname") == spec.name


def test_its_command_runs_below_a_small_init_and_is_told_to_end(
    node: Node, make: Make, change: Change, engine: Engine, busybox: str
) -> None:
    words = ("/bin/sh", "-c", "trap 'echo ended > /root/note; exit 0' TERM; while :; do sleep 0.1; done")
    spec = make(kind=Kind.JAIL, image=busybox, jail=JailOptions(command=words), stop_timeout_s=30)
    assert sh(node, spec, "tr '\\0' ' ' < /proc/1/cmdline").startswith("/dev/init -- /bin/sh -c trap")
    # started before its shell has set the trap, it would end by the signal itself
    wait_until(lambda: "sleep" in sh(node, spec, "ps"), "its loop")
    change(spec, desired=DesiredState.STOPPED)
    assert (node.root_volume(spec.id) / "root/note").read_text() == "ended\n"


def test_a_command_that_ends_leaves_its_code(node: Node, make: Make, engine: Engine, busybox: str) -> None:
    jail = JailOptions(command=("/bin/sh", "-c", "exit 7"))
    spec = make(kind=Kind.JAIL, image=busybox, jail=jail, restart=RestartPolicy(mode=RestartMode.NEVER))
    wait_until(lambda: engine.sandbox.exit_code(spec.id) == 7, "its code")


def test_its_snapshot_is_whole_restored_and_cloned(
    node: Node, make: Make, change: Change, busybox: str
) -> None:
    spec, taken = _jail(make, busybox), uuid.uuid4()
    sh(node, spec, "echo before > /root/note")
    spec = change(spec, snapshots=(taken,))
    path = Snapshots(node).path(spec.id, taken)
    assert (path / "bin/busybox").read_bytes() == (node.image(busybox) / "bin/busybox").read_bytes()
    sh(node, spec, "echo after > /root/note")
    origin = Origin(environment_id=spec.id, snapshot=taken)
    spec = change(spec, installs=1, boots=1, origin=origin)
    assert sh(node, spec, "cat /root/note") == "before"
    assert attempt(node, spec, "touch /usr/mine")[0] != 0
    clone = make(kind=Kind.JAIL, image=busybox, jail=JailOptions(), origin=origin)
    assert sh(node, clone, f"cat /root/note; {_WHICH}") == f"before\n{sh(node, spec, _WHICH)}"


def test_it_is_repaired_in_a_rescue_system(node: Node, make: Make, change: Change, busybox: str) -> None:
    spec = _jail(make, busybox)
    sh(node, spec, "echo kept > /root/note")
    spec = change(spec, rescue=Rescue.ONLINE, boots=1)
    assert (
        sh(
            node,
            spec,
            "cat /mnt/root/note; chown 7 /mnt/root/note; chroot /mnt /bin/busybox stat -c %u /root/note",
        )
        == "kept\n7"
    )
    assert attempt(node, spec, "ping -c 1 127.0.0.1")[0] != 0, "what isn't allowed isn't in there either"
    spec = change(spec, rescue=Rescue.OFF, boots=2)
    assert sh(node, spec, "stat -c %u /root/note") == "7"


def test_a_volume_is_attached_to_it_while_it_runs(node: Node, make: Make, change: Change, busybox: str) -> None:
    volumes, volume, spec = Volumes(node), uuid.uuid4(), _jail(make, busybox)
    volumes.keep(volume, spec.tenant_id, 64, is_new=True)
    try:
        attached = AttachedVolume(volume_id=volume, path="/srv/data")
        spec = change(spec, volumes=(attached,))
        sh(node, spec, "echo kept > /srv/data/note")
        spec = change(spec, volumes=())
        assert attempt(node, spec, "cat /srv/data/note")[0] != 0
        spec = change(spec, volumes=(attached,))
        assert sh(node, spec, "cat /srv/data/note") == "kept"
        assert attempt(node, spec, "touch /usr/mine")[0] != 0
        change(spec, volumes=())
    finally:
        volumes.drop(volume)


def test_what_its_owner_did_to_its_hidden_copy_leads_nowhere(
    node: Node, make: Make, change: Change, busybox: str
) -> None:
    """On a stopped one the places of its base may be changed from outside, as by what is put back from a
    backup."""
    spec = change(_jail(make, busybox), desired=DesiredState.STOPPED)
    root = node.root_volume(spec.id)
    (root / "usr").rename(root / "usr.away")
    (root / "usr").symlink_to("/etc")
    spec = change(spec, desired=DesiredState.RUNNING)
    assert sh(node, spec, "ls -d /usr/bin") == "/usr/bin"
    assert attempt(node, spec, "touch /usr/mine")[0] != 0
    assert not os.path.lexists("/etc/bin")


def test_a_jail_without_its_base_goes_by_its_own_copy_read_only(
    node: Node, make: Make, change: Change, busybox: str
) -> None:
    spec = change(_jail(make, busybox), desired=DesiredState.STOPPED)
    os.setxattr(node.root_volume(spec.id), "trusted.wadah.base", b"another-node@1")
    spec = change(spec, desired=DesiredState.RUNNING)
    assert sh(node, spec, "hostname") == spec.name
    assert attempt(node, spec, "touch /usr/mine")[0] != 0


def test_a_base_goes_when_nothing_is_of_it(
    node: Node, make: Make, busybox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, bases = _jail(make, busybox), Bases(node)
    key = bases.key_of(node.root_volume(spec.id))
    for one in bases.there():
        os.utime(bases.path(one).with_name(f".{one}.used"), (0, 0))
    bases.sweep()
    assert bases.there() == [key]
    monkeypatch.setattr(bases, "_held", lambda: iter(()))
    assert KEPT_S > 0
    assert bases.sweep() == 1
    assert bases.there() == []
    assert sh(node, spec, "ls -d /usr/bin") == "/usr/bin", "what runs holds it"


def test_what_is_its_own_is_charged_to_it_and_its_base_is_not(node: Node, make: Make, busybox: str) -> None:
    spec, roots = _jail(make, busybox), RootVolume(node)
    assert roots.used_bytes(spec.id) < 2**20
    sh(node, spec, "dd if=/dev/urandom of=/root/big bs=1M count=8 2>/dev/null; sync")
    wait_until(lambda: roots.used_bytes(spec.id) > 7 * 2**20, "what it wrote")


def test_systemd_wants_three_words_and_is_refused_without(
    engine: Engine, specs: Specs, node: Node, make: Make, debian: str
) -> None:
    spec = specs.new(kind=Kind.JAIL, image=debian, jail=JailOptions(allow=(Allow.SUSER,)))
    report: Report | None = engine.apply(spec)
    assert report is not None
    assert (report.code, report.state) == ("wants_more", ObservedState.FAILED)
    engine.apply(specs.change(spec, desired=DesiredState.DELETED))
    words = (Allow.SUSER, Allow.MOUNT, Allow.MOUNT_TMPFS, Allow.RESERVED_PORTS)
    up = make(kind=Kind.JAIL, image=debian, jail=JailOptions(allow=words))
    wait_until(
        lambda: attempt(node, up, "systemctl is-system-running")[1] in ("running", "degraded"), "its boot"
    )
    assert sh(node, up, "systemctl --failed --no-legend --plain") == ""
    assert attempt(node, up, "touch /var/lib/dpkg/mine")[0] != 0
    assert sh(node, up, "touch /usr/local/bin/mine && ls /usr/local/bin") == "mine"

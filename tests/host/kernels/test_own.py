"""A kernel of its own: the same environment, and another kernel below it."""

import hashlib
import os

import pytest

from runtime.console.exec import run_command
from runtime.console.terminals import open_terminal
from runtime.contract import DesiredState, EnvironmentSpec, Kernel, Limits, Network, ObservedState, Report
from runtime.engine import Engine
from runtime.exits import STEADY_S
from runtime.node import IDS_PER_SLOT, Node
from runtime.sandboxes.own import LEAST_MB
from runtime.sandboxes.shared import container
from runtime.sandboxes.shared.cgroup import Cgroup
from tests.host.conftest import Make
from tests.host.kernels.conftest import OWN, ready
from tests.host.support.inside import attempt, sh
from tests.host.support.kernels import MAKE, ended, members, nobody_left, on_disk, ping, status
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("own_kernel")


def test_the_dial_turns_there_and_back(node: Node, engine: Engine, specs: Specs, make: Make) -> None:
    """Same disk, owners, addresses and limits; another kernel."""
    first = make(limits=Limits(cpu=1, memory_mb=256, disk_mb=256), stop_timeout_s=30)
    host = os.uname().release
    assert sh(node, first, "uname -r") == host
    sh(node, first, MAKE)
    before = on_disk(node, first)

    def turned(spec: EnvironmentSpec, kernel: Kernel) -> EnvironmentSpec:
        for desired in (DesiredState.STOPPED, DesiredState.RUNNING):
            spec = specs.change(spec, desired=desired, kernel=kernel)
            report = engine.apply(spec)
            assert report is not None
            assert not report.code, f"{report.code}: {report.message}"
        ready(node, spec)
        return spec

    own = turned(first, Kernel.OWN)
    assert sh(node, own, "uname -r") != host
    assert on_disk(node, own) == before
    assert sh(node, own, "cd /made; stat -c '%u:%g %a %h' a d/s; cat b; readlink c; hostname").split("\n") == [
        *("1000:1001 600 2", "5:6 2755 1", "hi", "a", own.name)
    ]
    assert all(ping(one) for one in (*own.network.ipv4, *own.network.ipv6))
    sh(node, own, MAKE.replace("/made", "/made/again"))
    again = on_disk(node, own)
    assert {name: again[f"again/{name}"] for name in before} == before
    assert not [one for one in engine.leaks() if one.environment_id == own.id]
    shared = turned(own, Kernel.SHARED)
    assert sh(node, shared, "uname -r") == host
    assert on_disk(node, shared) == again
    assert all(ping(one) for one in shared.network.ipv4)
    assert engine.sandbox.of(shared.id).kernel is Kernel.SHARED


def test_commands_bring_all_of_their_output_and_their_code(node: Node, own: EnvironmentSpec) -> None:
    assert attempt(node, own, "echo out; echo err >&2; exit 7", timeout_s=60) == (7, "out\nerr")
    data = os.urandom(300_000)
    done = run_command(node, own.id, ["cat"], stdin=data, timeout_s=60)
    assert (done.exit_code, done.stdout == data, done.stderr) == (0, True, b"")
    script = "head -c 600000 /dev/urandom | tee /tmp/x; sha1sum /tmp/x >&2"
    done = run_command(node, own.id, ["sh", "-c", script], timeout_s=60)
    assert hashlib.sha1(done.stdout, usedforsecurity=False).hexdigest() == done.stderr.decode().split()[0]
    assert run_command(node, own.id, ["no-such-program"], timeout_s=20).exit_code == 127
    assert run_command(node, own.id, ["sh", "-c", "kill -9 $$"], timeout_s=20).exit_code == 137


def test_a_command_past_its_deadline_is_ended_inside(node: Node, own: EnvironmentSpec) -> None:
    done = run_command(node, own.id, ["sh", "-c", "sleep 4321 & sleep 4321"], timeout_s=2)
    assert (done.exit_code, done.timed_out) == (124, True)
    wait_until(lambda: sh(node, own, "pgrep -x -f 'sleep 4321' | wc -l") == "0", "their end")


def test_a_terminal_is_one(node: Node, own: EnvironmentSpec) -> None:
    open_terminal(node, own.id, "t")
    log = node.terminals(own.id) / "t" / "log"
    attach = node.terminals(own.id) / "t"
    from runtime.console.attach import Attachment

    keeper = Attachment(attach)
    try:
        keeper.send(b"tty; stty size; echo done$((1+1))\n")
        wait_until(lambda: b"done2" in log.read_bytes(), "its answer")
    finally:
        keeper.close()
    assert b"/dev/pts/" in log.read_bytes()


def test_what_runs_has_no_rights_on_the_host(node: Node, own: EnvironmentSpec) -> None:
    """Every process in its container: ids of its own range, nothing gained, the filter; the kernel itself has a
    raw socket and nothing more."""
    first = node.first_uid(own.slot)
    found = {pid: status(pid) for pid in members(node, own)}
    assert len(found) > 5
    for seen in found.values():
        assert all(first <= int(one) < first + IDS_PER_SLOT for one in seen["Uid"].split())
        assert (seen["Seccomp"], seen["NoNewPrivs"]) == ("2", "1")
    kernels = [one for one in found.values() if one["Uid"].split()[0] == str(first + 1000)]
    assert len(kernels) > 3
    assert {int(one[name], 16) for one in kernels for name in ("CapEff", "CapPrm", "CapBnd")} == {1 << 13}
    relays = [one for one in found.values() if one["Uid"].split()[0] == str(first + 1001)]
    assert [int(one["CapPrm"], 16) for one in relays] == [0]
    assert not any(int(one["CapEff"], 16) >> 21 & 1 for one in found.values()), "nobody administers anything"


def test_its_own_device_of_the_hosts_tree_shows_nothing_of_the_host(node: Node, own: EnvironmentSpec) -> None:
    """hostfs, by which a kernel of this sort can look at its host: there it finds the tree that it runs
    from."""
    sh(node, own, "mkdir -p /tmp/host && mount -t hostfs none /tmp/host")
    seen = sh(
        node, own, "ls /tmp/host /tmp/host/usr/bin; ls /tmp/host/home /tmp/host/etc /tmp/host/work 2>&1 || true"
    )
    assert "linux.uml" in seen
    assert seen.count("No such file") == 3
    code, said = attempt(node, own, "echo x >/tmp/host/usr/bin/y")
    assert code != 0, said
    sh(node, own, "umount /tmp/host")


def test_the_page_of_its_walls_tells_of_the_kernel_itself(engine: Engine, own: EnvironmentSpec) -> None:
    walls = engine.sandbox.walls(own.id)
    assert walls is not None
    assert "User-Mode Linux" in walls.kernel
    assert walls.capabilities == ("CAP_NET_RAW",)
    assert walls.no_new_privileges
    assert walls.filters
    assert {"user", "pid", "network", "mount"} <= set(walls.namespaces)


def test_name_and_addresses_change_while_it_runs(
    node: Node, engine: Engine, specs: Specs, own: EnvironmentSpec
) -> None:
    assert node.settings.ipv4_network is not None
    other = node.settings.ipv4_network[4000]
    network = Network(ipv4=(other,), ipv6=own.network.ipv6)
    report = engine.apply(specs.change(own, name="other-name", network=network, generation=50))
    assert report is not None
    assert not report.code, f"{report.code}: {report.message}"
    assert sh(node, own, "hostname") == "other-name"
    assert ping(other)
    assert not ping(own.network.ipv4[0])


def test_the_limit_of_memory_holds_and_the_guest_lives(node: Node, own: EnvironmentSpec) -> None:
    """What it takes too much of is refused or ended by its own kernel."""
    attempt(node, own, "head -c 900000000 /dev/zero | tail -c 900000000 | wc -c", timeout_s=60)
    used = Cgroup(node).usage(own.id)
    assert used.memory_bytes <= own.limits.memory_mb * 2**20
    assert used.oom_kills == 0
    assert sh(node, own, "echo lives") == "lives"


def test_its_disk_has_the_size_that_was_given_and_no_more_can_be_written(
    node: Node, own: EnvironmentSpec
) -> None:
    size_kb = int(sh(node, own, "df -kP / | tail -n 1").split()[1])
    assert size_kb <= own.limits.disk_mb * 1024
    code, said = attempt(node, own, "dd if=/dev/zero of=/big bs=1M count=400 && sync", timeout_s=60)
    assert code != 0, said
    assert int(sh(node, own, "stat -c %s /big")) < own.limits.disk_mb * 2**20
    sh(node, own, "rm /big && sync", timeout_s=60)
    # the host's kernel gives the room back when its cleaner has been there
    wait_until(lambda: attempt(node, own, "echo more >/small && sync")[0] == 0, "room for more")


def test_who_is_root_inside_can_not_stop_the_line_for_good(node: Node, own: EnvironmentSpec) -> None:
    """The line of the agent is open to root: what he writes there is passed over, and commands go on."""
    sh(node, own, "head -c 20000 /dev/urandom >/dev/ttyS0; echo more >/dev/ttyS0")
    assert sh(node, own, "echo lives") == "lives"


# how it ends -----------------------------------------------------------------------------------------


def test_a_panic_is_told_by_its_words_and_touches_nobody(
    node: Node, engine: Engine, reports: list[Report], make: Make
) -> None:
    neighbour, spec = make(), make(**OWN)
    ready(node, spec)
    run_command(node, spec.id, ["sh", "-c", "echo c >/proc/sysrq-trigger"], timeout_s=60)
    code = ended(node, spec)
    assert code == 134
    nobody_left(node, spec)
    delay = engine.on_exit(spec.id, code)
    assert delay is not None
    assert delay < STEADY_S
    told = reports[-1]
    assert told.code == "kernel_panic"
    assert "sysrq triggered crash" in str(told.message)
    assert sh(node, neighbour, "echo lives") == "lives"


@pytest.mark.parametrize(("command", "code"), [("reboot -f", 129), ("poweroff -f", 130)])
def test_reboot_and_power_off_are_told_apart(node: Node, make: Make, command: str, code: int) -> None:
    spec = make(**OWN)
    ready(node, spec)
    run_command(node, spec.id, ["sh", "-c", command], timeout_s=60)
    assert ended(node, spec) == code
    nobody_left(node, spec)


def test_a_stop_is_polite_and_at_once_where_it_is_asked_to_be(
    node: Node, engine: Engine, specs: Specs, make: Make
) -> None:
    spec = make(**OWN)
    ready(node, spec)
    sh(node, spec, "printf '::shutdown:/bin/touch /politely\\n' >>/etc/inittab && kill -HUP 1 && sleep 1")
    report = engine.apply(specs.change(spec, desired=DesiredState.STOPPED))
    assert report is not None
    assert report.state is ObservedState.STOPPED
    assert (node.root_volume(spec.id) / "politely").exists()
    nobody_left(node, spec)


@pytest.mark.parametrize("whose", ["disk server", "relay"])
def test_without_its_disk_or_relay_it_ends(node: Node, make: Make, whose: str) -> None:
    spec = make(**OWN)
    ready(node, spec)
    first = container.init_pid(node, spec.id)
    of_user = {"disk server": node.first_uid(spec.slot), "relay": node.first_uid(spec.slot) + 1001}[whose]
    os.kill(
        next(
            pid
            for pid in members(node, spec)
            if pid != first
            and int(status(pid)["Uid"].split()[0]) == of_user
            and status(pid)["PPid"] == str(first)
        ),
        9,
    )
    assert ended(node, spec) == 70
    nobody_left(node, spec)


def test_too_little_memory_is_refused_before_anything_is_made(node: Node, engine: Engine, specs: Specs) -> None:
    spec = specs.new(kernel=Kernel.OWN, limits=Limits(cpu=1, memory_mb=LEAST_MB - 1, disk_mb=256))
    report = engine.apply(spec)
    assert report is not None
    assert report.code == "kernel_unavailable"
    assert str(LEAST_MB) in str(report.message)
    assert not node.root_volume(spec.id).exists()


def test_a_rescue_system_runs_on_the_hosts_kernel(node: Node, engine: Engine, specs: Specs, make: Make) -> None:
    """It repairs what its kernel can't start any more."""
    spec = make(**OWN)
    ready(node, spec)
    sh(node, spec, "echo kept >/kept")
    rescued = specs.change(spec, rescue="online", boots=1)
    report = engine.apply(rescued)
    assert report is not None
    assert not report.code, f"{report.code}: {report.message}"
    assert sh(node, rescued, "cat /mnt/kept; uname -r").split() == ["kept", os.uname().release]
    back = specs.change(rescued, rescue="off", boots=2)
    engine.apply(back)
    ready(node, back)
    assert sh(node, back, "uname -r") != os.uname().release


def test_its_kernel_hears_what_it_is_told(node: Node, make: Make) -> None:
    said = ("loglevel=3", "modules=off", "sysctl.kernel.printk_ratelimit=77")
    spec = make(**OWN, boot_words=said)
    ready(node, spec)
    words = sh(node, spec, "cat /proc/cmdline").split()
    assert {"loglevel=3", "sysctl.kernel.printk_ratelimit=77"} <= set(words)
    assert sh(node, spec, "cat /proc/sys/kernel/printk_ratelimit") == "77"
    assert sh(node, spec, "cat /proc/sys/kernel/modules_disabled") == "1"
    code, told = attempt(node, spec, "modprobe loop 2>&1; insmod /lib/modules/*/kernel/net/ipv6/ipv6.ko")
    assert code != 0, told
    assert all(ping(one) for one in (*spec.network.ipv4, *spec.network.ipv6)), "it has what it is made of"


def test_one_person_at_the_console_and_nothing_started(
    node: Node, engine: Engine, specs: Specs, make: Make
) -> None:
    """Its init hears the word as its kernel does; and no more, once it is started without it."""
    spec = make(**OWN, boot_words=("single",))
    log, said = node.console(spec.id) / "log", f"BusyBox on {spec.name}"
    ready(node, spec)
    assert "single" in sh(node, spec, "cat /proc/cmdline").split()
    assert said not in log.read_text(errors="replace"), "what its init starts at other times"
    assert sh(node, spec, "hostname") == spec.name, "one enters it as ever"
    spec = specs.change(spec, boot_words=(), boots=1, stop_timeout_s=0)
    engine.apply(spec)
    ready(node, spec)
    assert "single" not in sh(node, spec, "cat /proc/cmdline").split()
    wait_until(lambda: said in log.read_text(errors="replace"), "its own first words")

"""A directory over its life: made, entered, paused, stopped, reinstalled, deleted; nothing runs in it."""

import os
import threading
import time
from collections.abc import Callable

import pytest

from runtime.console.exec import Stop, run_command
from runtime.console.terminals import close_terminal, find, open_terminal
from runtime.contract import (
    DesiredState,
    DirectoryOptions,
    EnvironmentSpec,
    Kernel,
    ObservedState,
    Profile,
    Report,
)
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.images.directory.profiles import DirectoryTrees
from runtime.images.waiter import Waiter
from runtime.node import Node
from runtime.sandboxes import sandbox_of
from tests.host.directories.conftest import Run
from tests.host.support.waiting import wait_until

Make = Callable[..., EnvironmentSpec]


def changed(spec: EnvironmentSpec, **fields: object) -> EnvironmentSpec:
    return EnvironmentSpec.model_validate({**spec.model_dump(), "generation": spec.generation + 1, **fields})


def members(node: Node, spec: EnvironmentSpec) -> list[int]:
    return sandbox_of(node).members(spec.id)


def test_it_is_there_without_a_process(node: Node, engine: Engine, jail: EnvironmentSpec) -> None:
    assert engine.observe(jail.id) == (ObservedState.RUNNING, None)
    assert members(node, jail) == []
    assert engine.reconcile() == {}
    assert engine.leaks() == []
    report = engine.current_report(jail.id)
    assert report is not None
    assert report.started_at is not None


def test_a_command_is_one_container_and_nothing_of_it_stays(sh: Run, node: Node, jail: EnvironmentSpec) -> None:
    done = sh("sleep 300 & disown; echo $$ $(id -u) $(id -g) $HOME; exit 7")
    assert (done.exit_code, done.stdout) == (7, b"1 1000 1000 /home/user\n")
    wait_until(lambda: members(node, jail) == [], "the end of its processes")
    assert sh("pgrep sleep").exit_code == 1


def test_what_is_written_stays(sh: Run) -> None:
    sh("echo kept > ~/file")
    assert sh("cat ~/file").stdout == b"kept\n"
    assert sh("echo no > /file").exit_code != 0


def test_a_command_is_ended_at_its_deadline_and_when_who_asked_hangs_up(
    sh: Run, node: Node, jail: EnvironmentSpec
) -> None:
    assert sh("sleep 300", timeout_s=1).timed_out
    with Stop() as stop:
        asked = threading.Thread(target=lambda: run_command(node, jail.id, ["/bin/sleep", "300"], stop=stop))
        asked.start()
        wait_until(lambda: members(node, jail) != [], "its process")
        stop.now()
        asked.join(20)
    wait_until(lambda: members(node, jail) == [], "the end of its processes")


def test_a_terminal_is_one_too(node: Node, jail: EnvironmentSpec) -> None:
    made = open_terminal(node, jail.id, "one")
    assert made.running
    assert len(members(node, jail)) == 1
    assert close_terminal(node, jail.id, "one")
    wait_until(lambda: members(node, jail) == [], "the end of its processes")
    assert find(node, jail.id, "one") is None


def test_a_profile_without_a_shell_has_no_terminal(node: Node, directory: Make) -> None:
    spec = directory(Profile.SFTP)
    with pytest.raises(RuntimeFault) as refused:
        open_terminal(node, spec.id, "one")
    assert refused.value.code == "no_shell"
    assert run_command(node, spec.id, ["/bin/sh", "-c", "id"]).exit_code == 127
    assert members(node, spec) == []


@pytest.mark.parametrize(("profile", "word"), [(Profile.RSYNC, "rsync"), (Profile.GIT, "git")])
def test_a_profile_has_its_programs(node: Node, directory: Make, profile: Profile, word: str) -> None:
    spec = directory(profile)
    assert run_command(node, spec.id, [word, "--version"]).exit_code == 0
    assert not (node.root_volume(spec.id) / "usr/bin/bash").exists()


def test_further_programs_are_copied_with_what_they_need(node: Node, directory: Make) -> None:
    spec = directory(Profile.SFTP, programs=("jq",))
    done = run_command(node, spec.id, ["jq", "-n", "6*7"])
    assert (done.exit_code, done.stdout) == (0, b"42\n"), done.stderr


def test_a_program_that_there_isn_t_is_refused_by_name(
    node: Node, engine: Engine, trees: DirectoryTrees, directory: Make
) -> None:
    with pytest.raises(RuntimeFault, match="no program emacs"):
        trees.get(DirectoryOptions(programs=("emacs",)), Waiter())
    assert not any(one.name.startswith(".new") for one in trees.tools.directory.iterdir())


def test_paused_nobody_comes_in_and_who_is_in_waits(
    node: Node, engine: Engine, sh: Run, jail: EnvironmentSpec
) -> None:
    report = engine.apply(changed(jail, desired=DesiredState.PAUSED))
    assert report is not None
    assert report.state is ObservedState.PAUSED
    with pytest.raises(RuntimeFault) as refused:
        sh("true")
    assert refused.value.code == "not_running"
    report = engine.apply(changed(jail, generation=3))
    assert report is not None
    assert report.state is ObservedState.RUNNING
    assert sh("true").exit_code == 0


def test_stopped_sessions_are_ended_and_files_stay(
    node: Node, engine: Engine, sh: Run, jail: EnvironmentSpec
) -> None:
    sh("echo kept > ~/file")
    open_terminal(node, jail.id, "one")
    report = engine.apply(changed(jail, desired=DesiredState.STOPPED))
    assert report is not None
    assert report.state is ObservedState.STOPPED
    assert members(node, jail) == []
    with pytest.raises(RuntimeFault) as refused:
        sh("true")
    assert refused.value.code == "not_running"
    engine.apply(changed(jail, generation=3))
    assert sh("cat ~/file").stdout == b"kept\n"


def test_a_reinstall_gives_it_another_profile(
    node: Node, engine: Engine, sh: Run, jail: EnvironmentSpec
) -> None:
    sh("echo gone > ~/file")
    DirectoryTrees(node).get(DirectoryOptions(profile=Profile.GIT), Waiter())
    report = engine.apply(changed(jail, installs=1, directory=DirectoryOptions(profile=Profile.GIT)))
    assert report is not None
    assert not report.code, report.message
    assert run_command(node, jail.id, ["git", "init", "--bare", "/home/user/a.git"]).exit_code == 0
    assert not (node.root_volume(jail.id) / "home/user/file").exists()
    assert not (node.root_volume(jail.id) / "usr/bin/bash").exists()


def test_limits_change_while_somebody_is_in(node: Node, engine: Engine, sh: Run, jail: EnvironmentSpec) -> None:
    limits = jail.limits.model_copy(update={"disk_mb": 32, "processes": 20})
    engine.apply(changed(jail, limits=limits))
    assert b"Disk quota exceeded" in sh("head -c 60M /dev/zero > ~/big").stderr


def test_deleted_with_somebody_in_nothing_is_left(
    node: Node, engine: Engine, reports: list[Report], jail: EnvironmentSpec
) -> None:
    open_terminal(node, jail.id, "one")
    mounted = len(os.listdir(node.mounts))
    report = engine.apply(changed(jail, desired=DesiredState.DELETED))
    assert report is not None
    assert report.state is ObservedState.DELETED, report.message
    wait_until(lambda: engine.leaks() == [], "no leak")
    assert len(os.listdir(node.mounts)) <= mounted


def test_another_kernel_is_refused(engine: Engine, jail: EnvironmentSpec) -> None:
    report = engine.apply(changed(jail, kernel=Kernel.OWN))
    assert report is not None
    assert report.code == "kernel_unavailable"
    assert engine.observe(jail.id)[0] is ObservedState.RUNNING


def test_what_it_has_not_is_no_spec_of_one(jail: EnvironmentSpec) -> None:
    for fields in ({"rescue": "online"}, {"devices": ("/dev/fuse",)}, {"network": {"ipv4": ("10.0.0.1",)}}):
        with pytest.raises(ValueError, match="directory"):
            changed(jail, **fields)


def test_made_quickly(directory: Make, engine: Engine, reports: list[Report]) -> None:
    """Its steps; how long they take is a figure of `./wadah bench`."""
    begun = time.monotonic()
    directory()
    print(f"made in {(time.monotonic() - begun) * 1000:.1f} ms")
    names = [step.name for step in reports[-1].steps]
    assert names == ["id range", "limits (cgroup)", "root volume", "OCI bundle", "entry"]

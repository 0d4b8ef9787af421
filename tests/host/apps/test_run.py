"""An app from a real registry: what it runs as, what it finds, how it ends."""

import os
import signal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from runtime.console import recording
from runtime.console.exec import run_command
from runtime.console.terminals import open_terminal
from runtime.contract import (
    AttachedVolume,
    DesiredState,
    EnvironmentSpec,
    ObservedState,
    RestartMode,
    RestartPolicy,
)
from runtime.engine import Engine
from runtime.errors import RuntimeFault
from runtime.node import Node
from runtime.sandboxes.shared.container import init_pid
from runtime.storage.volumes import Volumes
from tests.host.apps.conftest import AppOf
from tests.host.conftest import Make
from tests.host.support.inside import sh
from tests.host.support.node import Specs
from tests.host.support.waiting import wait_until
from tests.support.registry import Hub, busybox, file, folder, link

NEVER = RestartPolicy(mode=RestartMode.NEVER)


def console(node: Node, spec: EnvironmentSpec, words: str) -> str:
    def text() -> str:
        return b"".join(recording.text(node.console(spec.id))).decode()

    wait_until(lambda: words in text(), f"“{words}” on the console")
    return text()


def exit_code(node: Node, spec: EnvironmentSpec) -> int:
    """What was written down when its first process ended."""
    file = node.exits / spec.id.hex
    wait_until(lambda: file.exists() and bool(file.read_text().strip()), "its end")
    return int(file.read_text())


def status(pid: int | None, name: str) -> list[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1:] for line in lines if line.startswith(f"{name}:"))


def test_it_runs_as_its_image_says(
    make: Make, node: Node, engine: Engine, specs: Specs, app_of: AppOf, shell_image: str
) -> None:
    spec = make(**app_of(shell_image))
    assert "out there" in console(node, spec, "err")
    pid, first = init_pid(node, spec.id), node.first_uid(spec.slot)
    assert [int(one) - first for one in status(pid, "Uid")] == [1234] * 4
    assert sorted(int(one) - first for one in status(pid, "Groups")) == [77]
    assert int(status(pid, "CapEff")[0], 16) == 0
    assert status(pid, "NoNewPrivs") == ["1"]
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/data")
    assert sh(node, spec, "id -u; id -g; echo $FROM; cat /new; ls /gone || echo none") == "\n".join(
        ["1234", "5678", "image", "new", "none"]
    )
    assert spec.name in sh(node, spec, "cat /etc/hosts; hostname; cat /etc/hostname")
    report = engine.current_report(spec.id)
    assert report is not None
    assert report.app is not None
    assert report.app.command[:2] == ("/bin/sh", "-c")
    assert report.app.user == "app"
    stopped = engine.apply(specs.change(spec, desired=DesiredState.STOPPED))
    assert stopped is not None
    assert stopped.state is ObservedState.STOPPED
    assert [one.detail.code for one in stopped.steps if one.name == "shutdown"] == ["steps.shut_down"]
    assert engine.leaks() == []


def test_what_is_asked_for_holds_before_what_the_image_says(
    make: Make, node: Node, app_of: AppOf, shell_image: str
) -> None:
    script = (
        'echo "$$ $A $FROM"; pwd; touch /x; touch /tmp/y && df /dev/shm /tmp; test -t 1 && echo tty;'
        " stat -c %a:%u /made; cp /bin/sh /tmp/sh; /tmp/sh -c : ; sleep 99"
    )
    spec = make(
        **app_of(
            shell_image,
            command=("/bin/sh",),
            args=("-c", script),
            env={"A": "asked", "FROM": "request"},
            user="7:8",
            workdir="/made/here",
            read_only=True,
            tmpfs=("/tmp:size=2m,noexec", "/made:mode=700,uid=7,size=1m"),
            shm_mb=3,
            tty=True,
        )
    )
    said = console(node, spec, "/tmp/sh: Permission denied")
    assert "\ntty" in said
    assert "1 asked request" in said
    assert "/made/here" in said
    assert "/x: Read-only file system" in said
    assert " 3072 " in said
    assert " 2048 " in said, "each has its size"
    assert "700:7" in said
    assert sh(node, spec, "id -u; id -g") == "7\n8"


def test_a_small_init_reaps_and_hands_signals_on(
    make: Make, node: Node, engine: Engine, specs: Specs, app_of: AppOf, shell_image: str
) -> None:
    spec = make(**app_of(shell_image, init=True))
    console(node, spec, "out there")
    assert "catatonit" in Path(f"/proc/{init_pid(node, spec.id)}/comm").read_text() or "init" in sh(
        node, spec, "ps -o comm"
    )
    report = engine.apply(specs.change(spec, desired=DesiredState.STOPPED))
    assert report is not None
    assert [one.detail.code for one in report.steps if one.name == "shutdown"] == ["steps.shut_down"]


@pytest.mark.parametrize(
    ("mode", "script", "code", "again"),
    [
        (RestartMode.NEVER, "exit 0", "app_done", False),
        (RestartMode.ON_FAILURE, "exit 0", "app_done", False),
        (RestartMode.NEVER, "exit 3", "app_ended", False),
        (RestartMode.ON_FAILURE, "exit 129", "app_ended", True),
        (RestartMode.ALWAYS, "exit 0", "app_done", True),
    ],
)
def test_its_exit_code_is_the_apps(
    make: Make,
    node: Node,
    engine: Engine,
    app_of: AppOf,
    shell_image: str,
    mode: RestartMode,
    script: str,
    code: str,
    again: bool,
) -> None:
    """129 is no reboot: an app has none."""
    spec = make(
        **app_of(shell_image, command=("/bin/sh", "-c", f"sleep 0.2; {script}")),
        restart=RestartPolicy(mode=mode),
    )
    ended = exit_code(node, spec)
    assert ended == int(script.split()[1])
    delay = engine.on_exit(spec.id, ended)
    assert (delay is not None) == again
    report = engine.current_report(spec.id)
    assert report is not None
    assert (report.code, report.exit_code) == (code, ended)
    assert "app" in report.message


def test_its_own_words_are_a_programs(
    make: Make, engine: Engine, specs: Specs, app_of: AppOf, shell_image: str
) -> None:
    """What isn't there is said by name, and nothing is left."""
    report = engine.apply(specs.new(**app_of(shell_image, command=("/bin/none",))))
    assert report is not None
    assert report.state is ObservedState.FAILED
    assert "/bin/none" in report.message
    assert engine.leaks() == []


def test_an_image_without_a_shell(make: Make, node: Node, app_of: AppOf, hub: Hub) -> None:
    image = hub.push(
        "lib/bare:1",
        [file("sleep", Path("/bin/busybox").read_bytes(), mode=0o755)],
        config={"Entrypoint": ["/sleep"], "Cmd": ["3600"]},
    )
    spec = make(**app_of(image))
    assert Path(f"/proc/{init_pid(node, spec.id)}/root/etc/resolv.conf").exists()
    assert run_command(node, spec.id, ["/bin/sh", "-c", "true"]).exit_code == 127
    with pytest.raises(RuntimeFault, match="no shell") as caught:
        open_terminal(node, spec.id, "one")
    assert caught.value.code == "no_shell"
    assert not node.terminals(spec.id).exists() or not list(node.terminals(spec.id).iterdir())


def test_a_terminal_is_a_shell_of_the_image(make: Make, node: Node, app_of: AppOf, shell_image: str) -> None:
    spec = make(**app_of(shell_image))
    terminal = open_terminal(node, spec.id, "one")
    assert terminal.running


def test_layers_with_all_that_layers_have(make: Make, node: Node, app_of: AppOf, hub: Hub) -> None:
    """Many of them, devices, set-id bits, links that lead out, whiteouts of whole directories."""
    odd = [
        file("suid", b"#!\n", mode=0o6755),
        ("null", {"type": b"3", "mode": 0o666, "devmajor": 1, "devminor": 3}, b""),
        link("out", "../../../../etc"),
        link("run", "/etc"),
        folder("old"),
        file("old/a"),
    ]
    many = [[file(f"layer{number}")] for number in range(30)]
    image = hub.push(
        "lib/odd:1",
        [*busybox(), *odd],
        [file("old/.wh..wh..opq"), file("old/b")],
        *many,
        [file("out2")],
        config={"Entrypoint": ["/bin/sleep", "3600"]},
    )
    spec = make(**app_of(image))
    assert sh(node, spec, "ls /old") == "b"
    assert sh(node, spec, "stat -c %a /suid; ls / | wc -l").split()[0] == "6755"
    assert not os.path.lexists(node.root_volume(spec.id) / "null") or not sh(
        node, spec, "cat /null || true; echo x > /null 2>&1 || true; test ! -c /null || echo device"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"user": "nobody-here"}, "nobody-here"),
        ({"user": "70000"}, "65535"),
        ({"user": "app:none"}, "none"),
        ({"workdir": "/proc/self/fd"}, "/proc/self/fd"),
        ({"workdir": "/fds"}, "/fds"),
        ({"tmpfs": ("/fds/x",)}, "/fds/x"),
        ({"stop_signal": "SIGNONE"}, "SIGNONE"),
    ],
)
def test_what_it_can_not_be_run_as(
    engine: Engine, specs: Specs, app_of: AppOf, hub: Hub, fds_image: str, options: dict[str, Any], words: str
) -> None:
    report = engine.apply(specs.new(**app_of(fds_image, **options)))
    assert report is not None
    assert report.state is ObservedState.FAILED
    assert words in report.message
    assert engine.leaks() == []


@pytest.fixture(scope="session")
def fds_image(hub: Hub) -> str:
    """With a link, and a directory, where open directories of the host would be found."""
    odd = [folder("proc"), folder("proc/self"), folder("proc/self/fd"), link("fds", "/proc/self/fd")]
    return hub.push("lib/fds:1", [*busybox(), *odd], config={"Entrypoint": ["/bin/sleep", "3600"]})


def test_nothing_to_run(engine: Engine, specs: Specs, app_of: AppOf, hub: Hub) -> None:
    image = hub.push("lib/mute:1", busybox())
    report = engine.apply(specs.new(**app_of(image)))
    assert report is not None
    assert (report.state, report.code) == (ObservedState.FAILED, "no_command")


def test_a_kill_of_the_app_is_told(
    make: Make, node: Node, engine: Engine, app_of: AppOf, shell_image: str
) -> None:
    spec = make(**app_of(shell_image), restart=NEVER)
    pid = init_pid(node, spec.id)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    engine.on_exit(spec.id, exit_code(node, spec))
    report = engine.current_report(spec.id)
    assert report is not None
    assert (report.code, report.exit_code) == ("app_ended", 137)


@pytest.mark.parametrize("path", ["/data", "/srv/deep/none"])
def test_a_fresh_volume_can_be_written_by_the_app(
    make: Make, node: Node, app_of: AppOf, shell_image: str, path: str
) -> None:
    """As its place in the image belongs to the app's user, or there is none."""
    volume, volumes = uuid4(), Volumes(node)
    volumes.keep(volume, uuid4(), 32, is_new=True)
    attached = AttachedVolume(volume_id=volume, path=path)
    spec = make(**app_of(shell_image), volumes=(attached,))
    assert sh(node, spec, f"stat -c %u {path}; echo kept > {path}/note; cat {path}/note") == "1234\nkept"
    assert (volumes.path(volume) / "note").read_text() == "kept\n"

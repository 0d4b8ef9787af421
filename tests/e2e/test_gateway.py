"""The SSH gateway, asked by the clients that people have: ssh, sftp, scp, rsync, git."""

import hashlib
import os
import re
import socket
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import Installation
from tests.host.support.waiting import wait_until
from tests.support.ports import free_port

DIRECTORY = {
    "kind": "directory",
    "image": "",
    "stop_timeout_s": None,
    "limits": {"cpu": 1, "memory_mb": 256, "disk_mb": 400, "processes": 64},
}


@dataclass
class Client:
    """Somebody's machine: a home with a key, and the gateway's port."""

    home: Path
    port: int
    installation: Installation

    @property
    def options(self) -> list[str]:
        return [
            *("-F", "none", "-o", "StrictHostKeyChecking=accept-new", "-o", "BatchMode=yes"),
            *("-o", f"UserKnownHostsFile={self.home}/known", "-o", "IdentitiesOnly=yes"),
            *("-o", f"IdentityFile={self.home}/id", "-o", "ConnectTimeout=20"),
        ]

    @property
    def ssh_line(self) -> str:
        return " ".join(["ssh", "-p", str(self.port), *self.options])

    def run(
        self, *words: str | Path, input_: bytes = b"", timeout_s: float = 120
    ) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "GIT_SSH_COMMAND": self.ssh_line, "HOME": str(self.home)}
        return subprocess.run(
            [str(one) for one in words],
            input=input_,
            capture_output=True,
            timeout=timeout_s,
            env=environment,
            cwd=self.home,
            check=False,
        )

    def ssh(self, user: str, *words: str, input_: bytes = b"", more: tuple[str, ...] = ()) -> Any:
        return self.run(
            "ssh", "-p", str(self.port), *self.options, *more, f"{user}@127.0.0.1", *words, input_=input_
        )

    def sftp(self, user: str, batch: str) -> Any:
        return self.run(
            "sftp", "-P", str(self.port), *self.options, "-b", "-", f"{user}@127.0.0.1", input_=batch.encode()
        )


@pytest.fixture(scope="module")
def gateway(wadah: Installation) -> Iterator[int]:
    port = free_port()
    wadah.wadah("up", "--detach", "--no-demo", "--ssh", str(port), timeout_s=600)
    yield port
    wadah.wadah("up", "--detach", "--no-demo", "--ssh", "none", timeout_s=600)


@pytest.fixture(scope="module")
def client(wadah: Installation, gateway: int, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """With a key that the administrator keeps in the panel."""
    home = tmp_path_factory.mktemp("client")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / "id")], check=True, timeout=20
    )
    made = Client(home, gateway, wadah)
    answer = wadah.call("POST", "/ssh-keys", {"text": (home / "id.pub").read_text(), "name": "gateway"})
    assert answer.status == 201, answer.body
    wait_until(lambda: _listens(gateway), "the gateway")
    return made


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as one:
            return one.recv(4) == b"SSH-"
    except OSError:
        return False


@pytest.fixture(scope="module")
def directory(wadah: Installation) -> Iterator[str]:
    name = f"d-{uuid.uuid4().hex[:8]}"
    made = wadah.create(name, **DIRECTORY, directory={"profile": "shell"})
    yield name
    wadah.delete(made)


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def test_a_hundred_megabytes_are_the_same_up_and_down(client: Client, directory: str) -> None:
    big, back = client.home / "big", client.home / "back"
    with big.open("wb") as file:
        for _ in range(100):
            file.write(os.urandom(2**20))
    done = client.sftp(directory, f"put {big} big\nget big {back}\nls -l\n")
    assert done.returncode == 0, done.stderr
    assert digest(back) == digest(big)
    assert client.ssh(directory, "sha256sum big").stdout.split()[0].decode() == digest(big)
    assert client.ssh(directory, "rm big").returncode == 0


def test_a_command_has_its_streams_and_its_code(client: Client, directory: str) -> None:
    done = client.ssh(directory, "cat; id -u; pwd; echo no >&2; exit 7", input_=b"typed\n")
    assert (done.returncode, done.stdout) == (7, b"typed\n1000\n/home/user\n")
    assert b"no\n" in done.stderr


def test_a_terminal_is_one(client: Client, directory: str) -> None:
    done = client.ssh(directory, input_=b"tty; stty size; exit 3\n", more=("-tt",))
    assert done.returncode == 3, done.stdout
    assert b"/dev/pts/" in done.stdout


def test_scp_old_and_new(client: Client, directory: str) -> None:
    (client.home / "small").write_text("small\n")
    for how in ("-O", "-s"):
        words = ("scp", "-P", str(client.port), *client.options, how)
        there = f"{directory}@127.0.0.1:small{how}"
        assert client.run(*words, client.home / "small", there).returncode == 0
        assert client.run(*words, there, client.home / f"again{how}").returncode == 0
        assert (client.home / f"again{how}").read_text() == "small\n"


def test_rsync(client: Client, directory: str) -> None:
    tree = client.home / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep/file").write_text("x" * 100_000)
    (tree / "link").symlink_to("deep/file")
    words = ("rsync", "-a", "-e", client.ssh_line)
    assert client.run(*words, f"{tree}/", f"{directory}@127.0.0.1:tree/").returncode == 0
    assert client.run(*words, f"{directory}@127.0.0.1:tree/", f"{client.home}/tree2/").returncode == 0
    assert client.run("diff", "-r", tree, client.home / "tree2").returncode == 0


def test_git_is_pushed_and_cloned(client: Client, wadah: Installation) -> None:
    name = f"g-{uuid.uuid4().hex[:8]}"
    made = wadah.create(name, **DIRECTORY, directory={"profile": "git"})
    assert client.ssh(name, "git init --bare work.git").returncode == 0
    work = client.home / "work"
    assert client.run("git", "init", "-q", "-b", "main", work).returncode == 0
    (work / "file").write_text("kept\n")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    client.run("git", "-C", work, "add", "file")
    client.run("git", "-C", work, *who, "commit", "-qm", "one")
    url = f"ssh://{name}@127.0.0.1:{client.port}/~/work.git"
    pushed = client.run("git", "-C", work, "push", url, "main")
    assert pushed.returncode == 0, pushed.stderr
    assert client.run("git", "clone", "-q", "-b", "main", url, client.home / "clone").returncode == 0
    assert (client.home / "clone/file").read_text() == "kept\n"
    for line in ("sh -c id", "git-upload-pack --upload-pack=/bin/sh work.git; id", ""):
        assert b"uid=" not in client.ssh(name, line).stdout
    wadah.delete(made)


def test_what_runs_and_what_is_stopped(client: Client, wadah: Installation) -> None:
    """A system without an SFTP server of its own; and the same when it is stopped, as the owner of files."""
    name = f"s-{uuid.uuid4().hex[:8]}"
    made = wadah.create(name)
    assert client.ssh(name, "id -u").stdout == b"0\n"
    (client.home / "note").write_text("from outside\n")
    assert client.sftp(name, f"put {client.home}/note /root/note\n").returncode == 0
    assert client.ssh(name, "cat /root/note; stat -c %u /root/note").stdout == b"from outside\n0\n"
    wadah.call("POST", f"/environments/{made}/stop", {})
    wadah.wait_state(made, "stopped")
    batch = f"get /root/note {client.home}/stopped\nput {client.home}/note /root/two\n"
    done = client.sftp(name, batch)
    assert done.returncode == 0, done.stderr
    assert (client.home / "stopped").read_text() == "from outside\n"
    refused = client.ssh(name, "id")
    assert refused.returncode == 255
    assert b"stopped" in refused.stderr
    wadah.call("POST", f"/environments/{made}/start", {})
    wadah.wait_state(made, "running")
    assert client.ssh(name, "cat /root/two").stdout == b"from outside\n"
    wadah.delete(made)


def test_nobody_else_comes_in_and_nothing_is_forwarded(client: Client, directory: str) -> None:
    stranger = client.home / "stranger"
    if not stranger.exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True, timeout=20
        )
    other = [one.replace(f"{client.home}/id", str(stranger)) for one in client.options]
    done = client.run("ssh", "-p", str(client.port), *other, f"{directory}@127.0.0.1", "id")
    assert done.returncode == 255
    assert b"Permission denied" in done.stderr
    for nobody in ("none-such", f"{directory}.none", "root", f"other@{directory}", "../etc"):
        assert client.ssh(nobody, "id").returncode == 255, nobody
    port = free_port()
    tunnel = client.ssh(
        directory, "echo in", more=("-o", "ExitOnForwardFailure=yes", "-R", f"{port}:127.0.0.1:22")
    )
    assert tunnel.returncode == 255
    agent = client.ssh(directory, "echo [$SSH_AUTH_SOCK]", more=("-A",))
    assert agent.stdout == b"[]\n"
    direct = client.ssh(directory, more=("-W", "127.0.0.1:22"))
    assert direct.returncode != 0


def test_rights_that_are_lost_end_the_session(client: Client, wadah: Installation, directory: str) -> None:
    key = client.home / "second"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=20)
    made = wadah.call("POST", "/ssh-keys", {"text": key.with_suffix(".pub").read_text()}).body
    words = [one.replace(f"{client.home}/id", str(key)) for one in client.options]
    sleeping = subprocess.Popen(
        ["ssh", "-p", str(client.port), *words, f"{directory}@127.0.0.1", "echo in; sleep 600"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert sleeping.stdout is not None
    assert sleeping.stdout.readline() == b"in\n"
    assert wadah.call("DELETE", f"/ssh-keys/{made['id']}").status == 204
    assert sleeping.wait(30) == 255
    wait_until(lambda: client.ssh(directory, "pgrep sleep").returncode == 1, "the end of what it ran")


def test_a_token_is_a_password_and_sessions_are_on_record(
    client: Client, wadah: Installation, directory: str
) -> None:
    ask = client.home / "ask"
    ask.write_text(f"#!/bin/sh\necho '{wadah.token}'\n")
    ask.chmod(0o700)
    options = [
        "-F",
        "none",
        "-o",
        f"UserKnownHostsFile={client.home}/known",
        "-o",
        "PreferredAuthentications=password",
    ]
    environment = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}
    done = subprocess.run(
        ["ssh", "-p", str(client.port), *options, f"{directory}@127.0.0.1", "echo by token"],
        capture_output=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert done.stdout == b"by token\n", done.stderr
    ends = wadah.call("GET", "/audit?action=environment.ssh_end").body["items"]
    assert any(one["after"]["what"] == "echo" and one["after"]["exit_code"] == 0 for one in ends)
    assert not re.search(wadah.token, str(ends))

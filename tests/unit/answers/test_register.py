"""Who may have a listener held, and what becomes of those of an answerer that ended."""

import json
import os
import socket
from collections.abc import Iterator

import pytest

from runtime.answers import register as registers
from runtime.answers.notify import Slots, name_of
from runtime.answers.register import Register


@pytest.fixture
def register() -> Iterator[Register]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind("")  # a name of the kernel's choice
        door.listen(8)
        yield Register(door, Slots(16))


def _bring(register: Register, said: bytes, count: int = 1) -> object:
    """What becomes of this from the OCI runtime, with so many descriptors."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as runtime:
        runtime.connect(register.door.getsockname())
        guest = register.let_in()
        fds = [os.open(os.devnull, os.O_RDONLY) for _ in range(count)]
        socket.send_fds(runtime, [said], fds)
        for fd in fds:
            os.close(fd)
        return register.hear_out(guest.fileno())


def _state(of: str) -> bytes:
    return json.dumps({"ociVersion": "0.2.0", "fds": ["seccompFd"], "pid": 1, "metadata": of}).encode()


def test_a_listener_is_held_under_the_name_of_its_environment(register: Register) -> None:
    assert _bring(register, _state("tenant/environment")) is not None
    assert [one.of for one in register.listeners.values()] == ["tenant/environment"]
    assert register.guests == {}


@pytest.mark.parametrize(
    ("said", "count"),
    [(b"{", 1), (b"[]", 1), (b'{"fds": []}', 1), (_state("a/b"), 0), (_state("a/b"), 2), (b"\xff\xfe", 1)],
    ids=["cut off", "a list", "nobody's", "without one", "two", "no text"],
)
def test_what_isnt_understood_is_not_held_and_not_kept_open(
    register: Register, said: bytes, count: int
) -> None:
    before = os.listdir("/proc/self/fd")
    assert _bring(register, said, count) is None
    assert register.listeners == {}
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_one_environment_has_so_many_and_leaves_room_for_others(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registers, "MOST_OF_ONE", 3)
    held = [_bring(register, _state("one/greedy")) for _ in range(5)]
    assert [one is not None for one in held] == [True, True, True, False, False]
    assert _bring(register, _state("another/one")) is not None
    register.forget(next(iter(register.listeners)))
    assert _bring(register, _state("one/greedy")) is not None


def test_the_next_answerer_knows_what_the_last_one_was_at() -> None:
    slots = Slots(4)
    if os.fork() == 0:
        slots[2].call.id = 77
        os._exit(0)
    os.wait()
    assert [slots[one].call.id for one in range(4)] == [0, 0, 77, 0]


@pytest.mark.parametrize(
    ("machine", "architecture", "number", "name"),
    [
        ("x86_64", 0xC000003E, 99, "sysinfo"),
        ("x86_64", 0xC000003E, 137, "statfs"),
        ("x86_64", 0xC000003E, 138, "fstatfs"),
        ("x86_64", 0x40000003, 116, ""),  # i386's sysinfo: another structure
        ("x86_64", 0x40000003, 99, ""),
        ("aarch64", 0xC00000B7, 179, "sysinfo"),
        ("aarch64", 0xC00000B7, 43, "statfs"),
        ("riscv64", 0xC00000F3, 43, ""),
    ],
)
def test_calls_are_known_by_number_and_architecture(
    monkeypatch: pytest.MonkeyPatch, machine: str, architecture: int, number: int, name: str
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert name_of(architecture, number) == name

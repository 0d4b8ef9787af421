"""The kernel's side of a listener: seccomp_unotify(2), linux/seccomp.h."""

import ctypes
import errno
import mmap
import os
import platform
import select
import time
from dataclasses import dataclass

_libc = ctypes.CDLL(None, use_errno=True)

_RECEIVE, _SEND, _IS_VALID = 0xC0502100, 0xC0182101, 0x40082102
_CONTINUE = 1
#: Of the architecture: what seccomp calls it, and its numbers of the calls.
MACHINES = {
    "x86_64": (0xC000003E, {99: "sysinfo", 137: "statfs", 138: "fstatfs"}),
    "aarch64": (0xC00000B7, {179: "sysinfo", 43: "statfs", 44: "fstatfs"}),
}


class _Call(ctypes.Structure):
    """struct seccomp_notif, with struct seccomp_data in it."""

    _fields_ = (
        ("id", ctypes.c_uint64),
        ("pid", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("number", ctypes.c_int32),
        ("architecture", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    )


class _Answer(ctypes.Structure):
    """struct seccomp_notif_resp."""

    _fields_ = (
        ("id", ctypes.c_uint64),
        ("value", ctypes.c_int64),
        ("error", ctypes.c_int32),
        ("flags", ctypes.c_uint32),
    )


class _Slot(ctypes.Structure):
    _fields_ = (("call", _Call), ("distrusted_until", ctypes.c_double))


@dataclass(frozen=True, slots=True)
class Call:
    id: int
    pid: int
    name: str
    """Empty: of another architecture, or none that is answered here."""
    arguments: tuple[int, ...]


def name_of(architecture: int, number: int) -> str:
    mine, names = MACHINES.get(platform.machine(), (0, {}))
    return names.get(number, "") if architecture == mine else ""


class Slots:
    """What each listener is at, in memory that the next answerer sees too: the kernel itself writes down there
    which call it handed out, so that none is forgotten, whenever an answerer ends."""

    def __init__(self, most: int):
        self.most = most
        self._memory = mmap.mmap(-1, most * ctypes.sizeof(_Slot))

    def __getitem__(self, number: int) -> _Slot:
        return _Slot.from_buffer(self._memory, number * ctypes.sizeof(_Slot))


class Listener:
    """Of one filter: that of an environment's init, or of a command that was begun in it later."""

    def __init__(self, fd: int, slot: int, of: str, slots: Slots):
        self.fd, self.slot, self.of = fd, slot, of
        self._slots = slots
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def has_more(self, within_ms: int) -> bool:
        """False also when nobody has the filter any more."""
        return any(event & select.POLLIN for _, event in self._poll.poll(within_ms))

    def receive(self) -> Call | None:
        """To be called when there is something; None when who called is gone meanwhile."""
        call = self._slots[self.slot].call
        ctypes.memset(ctypes.addressof(call), 0, ctypes.sizeof(call))
        if self._ioctl(_RECEIVE, call) != 0:
            call.id = 0
            return None
        name = name_of(call.architecture, call.number)
        return Call(call.id, call.pid, name, tuple(call.arguments))

    def is_waiting(self, call: Call) -> bool:
        """Whether the caller still waits: what was opened of his before this was asked is his, and of nobody
        who was given his number after him."""
        return self._ioctl(_IS_VALID, ctypes.c_uint64(call.id)) == 0

    def let_the_kernel(self, call_id: int) -> None:
        """Has the kernel do what the caller asked for. A no-op when he is gone."""
        self._send(_Answer(id=call_id, flags=_CONTINUE))

    def answer(self, call_id: int, error: int = 0) -> None:
        """Zero, or minus an error number. A no-op when the caller is gone."""
        self._send(_Answer(id=call_id, error=-error))

    def _send(self, answer: _Answer) -> None:
        self._ioctl(_SEND, answer)
        self._slots[self.slot].call.id = 0

    def finish_what_was_begun(self) -> None:
        """After another answerer."""
        begun = self._slots[self.slot].call.id
        if begun:
            self.let_the_kernel(begun)

    def distrust(self, seconds: float) -> None:
        """Its calls are left to the kernel for so long."""
        self._slots[self.slot].distrusted_until = time.monotonic() + seconds

    @property
    def is_distrusted(self) -> bool:
        return bool(self._slots[self.slot].distrusted_until > time.monotonic())

    def forget(self) -> None:
        """Its slot, for who has it next."""
        slot = self._slots[self.slot]
        ctypes.memset(ctypes.addressof(slot), 0, ctypes.sizeof(slot))

    def _ioctl(self, request: int, argument: "ctypes._CData") -> int:
        while True:
            if _libc.ioctl(self.fd, ctypes.c_ulong(request), ctypes.byref(argument)) == 0:
                return 0
            number = ctypes.get_errno()
            if number != errno.EINTR:
                return number

    def close(self) -> None:
        os.close(self.fd)

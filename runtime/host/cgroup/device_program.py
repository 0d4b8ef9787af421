"""The list of devices of a group of cgroup2: a small program of the kernel's (BPF), made anew for each list.

The kernel asks every program of a group and of those above it, and each has to allow what is opened. So ours
takes the place of what the OCI runtime attached. Its name has a hash of the list, by which it is known again:
what a program holds can't be read. linux/bpf.h, linux/Documentation/bpf
"""

import ctypes
import os
import platform
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

#: Major and minor (None: all of the major), and what may be done: `r`, `w`.
Rules = Mapping[tuple[int, int | None], str]

_SYS_BPF = {"x86_64": 321, "aarch64": 280}
_LOAD, _ATTACH, _DETACH, _FD_BY_ID, _INFO, _QUERY = 5, 8, 9, 13, 15, 16
_PROGRAM_TYPE, _ATTACH_TYPE = 15, 6  # BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE
_MULTI, _REPLACE = 2, 4
_CHARACTER, _READ, _WRITE = 2, 2, 4
_MOST_PROGRAMS, _NAME_AT, _INFO_BYTES = 64, 64, 80

_libc = ctypes.CDLL(None, use_errno=True)


def program(rules: Rules) -> bytes:
    """Instructions that allow this, and nothing else, to character devices."""

    def step(code: int, to: int = 0, of: int = 0, jump: int = 0, value: int = 0) -> bytes:
        return struct.pack("=BBhi", code, to | of << 4, jump, value)

    load, right, both, as_is, unless, end = 0x61, 0x74, 0x54, 0xB7, 0x55, 0x95
    found = [
        step(load, 2, 1, 0),  # access << 16 | type
        step(0xBC, 3, 2),
        step(right, 3, value=16),
        step(both, 2, value=0xFFFF),
        step(load, 4, 1, 4),  # major
        step(load, 5, 1, 8),  # minor
    ]
    for (major, minor), access in sorted(rules.items(), key=lambda one: (one[0][0], one[0][1] or -1)):
        may = (_READ if "r" in access else 0) | (_WRITE if "w" in access else 0)
        tests = [(4, major), *([] if minor is None else [(5, minor)])]
        # past: the tests that are left, mask and its test (3), and the two that allow
        left = len(tests) + 5
        found.append(step(unless, 2, jump=left, value=_CHARACTER))
        for register, value in tests:
            left -= 1
            found.append(step(unless, register, jump=left, value=value))
        found += [step(0xBC, 6, 3), step(both, 6, value=~may), step(unless, 6, jump=2, value=0)]
        found += [step(as_is, 0, value=1), step(end)]
    return b"".join([*found, step(as_is, 0, value=0), step(end)])


def hold(group: Path, rules: Rules) -> bool:
    """The group's processes open these devices and no others; False when it is so. Raises OSError."""
    name = _name(rules)
    descriptor = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        flags, there = _attached(descriptor)
        if [_name_of(one) for one in there] == [name]:
            return False
        made = _load(program(rules), name)
        try:
            if not there or flags & _MULTI:
                _put(descriptor, made, there[:1])
            else:  # one alone, whose place the new one takes
                _call(_ATTACH, struct.pack("=IIII", descriptor, made, _ATTACH_TYPE, flags))
            for one in there[1:]:
                _with(one, lambda old: _call(_DETACH, struct.pack("=III", descriptor, old, _ATTACH_TYPE)))
        finally:
            os.close(made)
    finally:
        os.close(descriptor)
    return True


def holds(group: Path, rules: Rules) -> bool:
    """Whether it is so. False where it can't be told."""
    with suppress(OSError):
        descriptor = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return [_name_of(one) for one in _attached(descriptor)[1]] == [_name(rules)]
        finally:
            os.close(descriptor)
    return False


def _name(rules: Rules) -> bytes:
    return f"wadah_{zlib.crc32(program(rules)):08x}".encode()


def _call(command: int, attributes: bytes, buffer: ctypes.Array[ctypes.c_char] | None = None) -> int:
    space = buffer or ctypes.create_string_buffer(attributes, len(attributes))
    size = ctypes.sizeof(space)
    result = int(_libc.syscall(_SYS_BPF[platform.machine()], command, ctypes.byref(space), size))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"bpf: {os.strerror(number)}")
    return result


def _load(instructions: bytes, name: bytes) -> int:
    steps, licence = ctypes.create_string_buffer(instructions), ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQIIQII16s",
        *(_PROGRAM_TYPE, len(instructions) // 8, ctypes.addressof(steps), ctypes.addressof(licence)),
        *(0, 0, 0, 0, 0, name),
    )
    return _call(_LOAD, attributes)


def _attached(group: int) -> tuple[int, Sequence[int]]:
    """How programs are attached, and their numbers."""
    ids = (ctypes.c_uint32 * _MOST_PROGRAMS)()
    attributes = struct.pack("=IIIIQI4x", group, _ATTACH_TYPE, 0, 0, ctypes.addressof(ids), _MOST_PROGRAMS)
    space = ctypes.create_string_buffer(attributes, len(attributes))
    _call(_QUERY, b"", space)
    _group, _type, _flags, attached, _ids, count = struct.unpack_from("=IIIIQI", space.raw)
    return attached, list(ids)[:count]


def _put(group: int, made: int, old: Sequence[int]) -> None:
    def attach(replaced: int | None) -> int:
        flags = _MULTI | (0 if replaced is None else _REPLACE)
        return _call(_ATTACH, struct.pack("=IIIII", group, made, _ATTACH_TYPE, flags, replaced or 0))

    if old:
        _with(old[0], attach)
    else:
        attach(None)


def _with(number: int, act: Callable[[int], object]) -> None:
    descriptor = _call(_FD_BY_ID, struct.pack("=I", number))
    try:
        act(descriptor)
    finally:
        os.close(descriptor)


def _name_of(number: int) -> bytes:
    descriptor = _call(_FD_BY_ID, struct.pack("=I", number))
    try:
        info = ctypes.create_string_buffer(_INFO_BYTES)
        _call(_INFO, struct.pack("=IIQ", descriptor, _INFO_BYTES, ctypes.addressof(info)))
        return info.raw[_NAME_AT : _NAME_AT + 16].rstrip(b"\0")
    finally:
        os.close(descriptor)

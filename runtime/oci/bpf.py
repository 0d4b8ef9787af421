"""Compiles a seccomp profile to the BPF program that the kernel takes, by libseccomp, as crun does.

crun compiles it anew for each container, 4 of its 14 ms of processor time; given the program in the annotation
`run.oci.seccomp_bpf_data` (crun(1)), it takes that. A profile is compiled once in each process of ours.
"""

import ctypes
import errno
import os
from collections.abc import Mapping
from ctypes import c_int, c_uint, c_uint32, c_uint64, c_void_p
from functools import cache
from typing import Any

LIBRARY = "libseccomp.so.2"
#: seccomp.h: SCMP_ACT_ALLOW, SCMP_ACT_NOTIFY, SCMP_ACT_ERRNO(x)
_ALLOW, _NOTIFY, _ERRNO = 0x7FFF0000, 0x7FC00000, 0x00050000
#: seccomp.h: enum scmp_compare
_COMPARISONS = {"SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}
#: seccomp.h: __NR_SCMP_ERROR, of a name that this libseccomp doesn't know
_UNKNOWN = -1


class _Comparison(ctypes.Structure):
    _fields_ = (("argument", c_uint), ("operator", c_int), ("datum", c_uint64), ("datum_two", c_uint64))


def program(profile: Mapping[str, Any]) -> bytes | None:
    """The filter of `linux.seccomp` of an OCI configuration, an array of struct sock_filter.

    None where there is no libseccomp. Raises OSError when it refuses a rule, KeyError for an action or operator
    that our profiles don't have.
    """
    library = _library()
    if library is None:
        return None
    otherwise = _action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    context = library.seccomp_init(otherwise)
    if not context:
        raise OSError(errno.ENOMEM, "seccomp_init")
    try:
        for name in profile["architectures"]:
            token = library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
            _must(library.seccomp_arch_add(context, token), name, but=errno.EEXIST)
        for rule in profile["syscalls"]:
            # libseccomp refuses a rule that says what holds anyway
            if (action := _action(rule["action"], rule.get("errnoRet"))) != otherwise:
                _add(library, context, rule, action)
        return _exported(library, context)
    finally:
        library.seccomp_release(context)


def _add(library: ctypes.CDLL, context: int, rule: Mapping[str, Any], action: int) -> None:
    arguments = rule.get("args", ())
    comparisons = (_Comparison * len(arguments))(
        *(
            _Comparison(one["index"], _COMPARISONS[one["op"]], one["value"], one["valueTwo"])
            for one in arguments
        )
    )
    for name in rule["names"]:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number != _UNKNOWN:
            added = library.seccomp_rule_add_array(context, action, number, len(arguments), comparisons)
            _must(added, name)


def _exported(library: ctypes.CDLL, context: int) -> bytes:
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    try:
        _must(library.seccomp_export_bpf(context, fd), "seccomp_export_bpf")
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


def _action(name: str, number: int | None) -> int:
    actions = {"SCMP_ACT_ALLOW": _ALLOW, "SCMP_ACT_NOTIFY": _NOTIFY}
    return {**actions, "SCMP_ACT_ERRNO": _ERRNO | (number or errno.EPERM)}[name]


def _must(result: int, what: str, but: int = 0) -> None:
    if result < 0 and -result != but:
        raise OSError(-result, f"{what}: {os.strerror(-result)}")


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    library.seccomp_init.restype, library.seccomp_init.argtypes = c_void_p, (c_uint32,)
    library.seccomp_release.restype, library.seccomp_release.argtypes = None, (c_void_p,)
    library.seccomp_arch_resolve_name.restype = c_uint32
    library.seccomp_arch_add.argtypes = (c_void_p, c_uint32)
    library.seccomp_rule_add_array.argtypes = (c_void_p, c_uint32, c_int, c_uint, c_void_p)
    library.seccomp_export_bpf.argtypes = (c_void_p, c_int)
    return library

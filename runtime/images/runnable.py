"""Whether a tree can be the root of an environment: said when it is made, not by an init that crashes."""

import platform
import struct
from contextlib import suppress

from runtime.contract.said import NOTHING, Said
from runtime.contract.words import advice, images
from runtime.errors import RuntimeFault
from runtime.host.safetree import SafeTree
from runtime.oci.init import INIT

#: e_machine of elf(5)
_MACHINES = {
    3: "i386",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390",
    40: "arm",
    62: "x86_64",
    183: "aarch64",
    243: "riscv",
}
_SHELL_BYTES = 4096


def check_init(tree: SafeTree) -> Said:
    """What else is to be told of it. Raises `RuntimeFault` when its init can't run here."""
    if not tree.exists(INIT):
        raise _lacks_init(tree)
    if _machine(tree) == "i386" and platform.machine() == "x86_64":
        return images.needs_compat32()
    return NOTHING


def _lacks_init(safe: SafeTree) -> RuntimeFault:
    reason = images.no_init() if safe.link_target(INIT) is None else images.init_leads_nowhere()
    if safe.exists("/.dockerenv"):
        reason = images.container_without_init()
    return RuntimeFault(reason, code="image_no_init", next_step=advice.install_an_init(), retryable=False)


def _machine(safe: SafeTree) -> str:
    """Of the init's program. Raises `RuntimeFault` when this machine, or its own tree, can't run it."""
    head = safe.head(INIT, _SHELL_BYTES)
    if head.mode & 0o111 == 0:
        raise _cannot_run(images.init_not_executable())
    if head.data.startswith(b"#!"):
        words = head.data[2:].partition(b"\n")[0].split()
        shell = words[0].decode(errors="replace") if words else ""
        if not shell.startswith("/") or not safe.exists(shell):
            raise _cannot_run(images.init_without_shell())
        return platform.machine()
    if not head.data.startswith(b"\x7fELF"):
        raise _cannot_run(images.init_no_program())
    order = "<" if head.data[5:6] == b"\x01" else ">"
    machine = _MACHINES.get(struct.unpack_from(f"{order}H", head.data, 18)[0], "another processor")
    if machine != platform.machine() and (machine, platform.machine()) != ("i386", "x86_64"):
        raise _cannot_run(images.other_machine(machine, platform.machine()))
    loader = _loader(head.data, order)
    if loader and not safe.exists(loader):
        raise _cannot_run(images.init_without_loader(loader))
    return machine


def _loader(data: bytes, order: str) -> str:
    """PT_INTERP of elf(5); empty for a static program, and where it lies beyond what was read."""
    is_64 = data[4:5] == b"\x02"
    with suppress(struct.error):
        at = (
            struct.unpack_from(f"{order}Q", data, 32)[0]
            if is_64
            else struct.unpack_from(f"{order}I", data, 28)[0]
        )
        size, count = struct.unpack_from(f"{order}HH", data, 54 if is_64 else 42)
        for number in range(min(count, 64)):
            header = at + number * size
            if struct.unpack_from(f"{order}I", data, header)[0] != 3:
                continue
            if is_64:
                begin, length = (struct.unpack_from(f"{order}Q", data, header + one)[0] for one in (8, 32))
            else:
                begin, length = (struct.unpack_from(f"{order}I", data, header + one)[0] for one in (4, 16))
            name = data[begin : begin + min(length, 256)].rstrip(b"\0")
            return name.decode(errors="replace") if name.startswith(b"/") else ""
    return ""


def _cannot_run(reason: Said) -> RuntimeFault:
    return RuntimeFault(reason, code="image_no_init", next_step=advice.import_a_whole_system(), retryable=False)

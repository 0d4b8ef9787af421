"""Unpacks a hostile archive into an empty tree, in a container of its own (`runtime.images.confined`) whose one
writable place is the tree."""

import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.contract.said import Said
from runtime.contract.words import advice, images, refusals
from runtime.errors import CommandFailed, HostLacks, RuntimeFault
from runtime.images import vet
from runtime.images.confined import Program, confined
from runtime.node import Node
from runtime.sandboxes.base import Apart

MIB = 2**20
#: By the first bytes of a file: the command that unpacks it. A closed list; nothing of it comes from outside.
FORMATS: tuple[tuple[bytes, tuple[str, ...]], ...] = (
    (b"\x1f\x8b", ("gzip", "-dc")),
    (b"\xfd7zXZ\0", ("xz", "-dc", "--memlimit-decompress=128MiB")),
    (b"\x28\xb5\x2f\xfd", ("zstd", "-dcq", "--memory=128MB")),
    (b"BZh", ("bzip2", "-dc")),
)


@dataclass(frozen=True)
class Caps:
    """What is taken of an archive at most (security-settings 4.7)."""

    tree_bytes: int = 16 * 2**30
    entries: int = 1_000_000
    ratio: int = 100
    """Unpacked bytes per byte of the file, after the first 100 MiB."""
    seconds: float = 1800.0
    memory_bytes: int = 256 * MIB


@dataclass(frozen=True)
class Unpacked:
    entries: int
    bytes: int
    sha256: str
    """Of the bytes that were unpacked."""
    devices: int = 0
    """Entries that were left out: device nodes, and other names of them."""
    root_mode: int | None = None
    """Of the root itself; None when the archive has no entry for it."""


def unpack(
    node: Node,
    file: int,
    tree: Path,
    *,
    caps: Caps | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Unpacked:
    """Fills the empty directory `tree` from the archive that the descriptor `file` reads.

    `progress` gets the bytes read so far. Raises `RuntimeFault` (code `archive_refused`) with a sentence for
    a person; what is in the tree then is the caller's to throw away.
    """
    caps = caps or Caps()
    size = os.fstat(file).st_size
    packing = _packing(file)
    limits = {
        "unpack": list(packing),
        "entries": caps.entries,
        "bytes": caps.tree_bytes,
        "stream_bytes": min(caps.tree_bytes + caps.tree_bytes // 8, max(100 * MIB, caps.ratio * size)),
    }
    with confined(node, _program(tree, limits, caps)) as within:
        answer, digest = _feed(within, file, caps.seconds, progress)
    if "refused" in answer:
        raise _refused(_vetted(answer["refused"]))
    mode = answer["root_mode"]
    return Unpacked(
        entries=int(answer["entries"]),
        bytes=int(answer["bytes"]),
        sha256=digest,
        devices=int(answer["devices"]),
        root_mode=None if mode is None else int(mode),
    )


def _refused(said: Said) -> RuntimeFault:
    return RuntimeFault(said, code="archive_refused", next_step=advice.make_the_archive_anew(), retryable=False)


def _vetted(told: Any) -> Said:
    """What the reader found. One that an archive has led astray may say anything, so the words are ours."""
    try:
        name, values = told
        return images.VETTED[name](
            **{key: one if isinstance(one, int) else str(one)[:600] for key, one in values.items()}
        )
    except (TypeError, ValueError, KeyError, AttributeError):
        return images.cut_off(str(told)[:100])


def _packing(file: int) -> tuple[str, ...]:
    """The command that unpacks it; empty for a plain tar. Raises for anything else."""
    head = os.pread(file, 512, 0)
    for magic, command in FORMATS:
        if head.startswith(magic):
            if shutil.which(command[0], path="/usr/bin:/bin") is None:
                raise HostLacks(refusals.not_installed(command[0]))
            return command
    if head[257:262] == b"ustar":
        return ()
    raise _refused(images.no_tar())


def _program(tree: Path, limits: dict[str, Any], caps: Caps) -> Program:
    source = Path(vet.__file__).read_text()
    return Program(
        words=["/usr/bin/python3", "-I", "-S", "-c", source, json.dumps(limits)],
        trees={"/tree": tree},
        shown={},
        memory_bytes=caps.memory_bytes,
    )


def _feed(
    within: Apart, file: int, seconds: float, progress: Callable[[int], None]
) -> tuple[dict[str, Any], str]:
    """Pumps the file in, hashes just those bytes, and takes the one line that comes out."""
    process = subprocess.Popen(
        within.words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=within.environment,
        cwd="/",
        start_new_session=True,
    )
    assert process.stdin and process.stdout and process.stderr
    heard: list[bytes] = [b"", b""]

    def hear(number: int, stream: Any) -> None:
        heard[number] = stream.read(65_536)
        while stream.read(65_536):
            pass

    def stop() -> None:
        process.kill()
        within.end()

    listeners = [
        threading.Thread(target=hear, args=(number, stream), daemon=True)
        for number, stream in enumerate((process.stdout, process.stderr))
    ]
    watchdog = threading.Timer(seconds, stop)
    began = time.monotonic()
    for one in (*listeners, watchdog):
        one.start()
    try:
        digest = _pump(file, process.stdin, progress)
        status = process.wait()
    finally:
        watchdog.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
        for one in listeners:
            one.join(10)
    if time.monotonic() - began >= seconds:
        raise _refused(images.unpacked_too_slowly(seconds))
    try:
        answer = json.loads(heard[0])
        if not isinstance(answer, dict):
            raise ValueError
    except ValueError:
        if status in (137, -9):
            raise _refused(images.takes_memory()) from None
        said = heard[1].decode(errors="replace").strip().splitlines()
        raise CommandFailed(images.container_ended(status, said[-1][:300] if said else "")) from None
    return answer, digest


def _pump(file: int, to: Any, progress: Callable[[int], None]) -> str:
    """All of the file is read and hashed, also when nobody takes it any more."""
    seen, done, is_broken = hashlib.sha256(), 0, False
    while data := os.pread(file, MIB, done):
        seen.update(data)
        done += len(data)
        if not is_broken:
            try:
                to.write(data)
                to.flush()
            except BrokenPipeError:
                is_broken = True
        progress(done)
    with suppress(BrokenPipeError):
        to.close()
    return seen.hexdigest()

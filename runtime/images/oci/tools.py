"""Runs skopeo and umoci, each time in a container of its own (`skopeo_program` is what runs there)."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from runtime.contract.words import apps
from runtime.errors import CommandFailed, RuntimeFault
from runtime.host import mounts
from runtime.host.processes import Held
from runtime.images.confined import PIN_PREFIX, Program, confined
from runtime.images.oci import refusals, skopeo_program
from runtime.node import IDS_PER_SLOT, IMPORT_SLOT, Node
from runtime.sandboxes.base import Apart

MIB = 2**20
_MEMORY_BYTES, _PROCESSES, _SCRATCH_BYTES = 512 * MIB, 128, 64 * MIB
_ANSWER_BYTES = 8 * MIB
_LOOK_S = 0.2

Watch = Callable[[int], None]
"""Told the bytes that came so far, several times a second; ends what it watches by raising."""


def program(
    trees: dict[str, Path], *, network: Path | None, looked_at: dict[str, Path] | None = None
) -> Program:
    source = Path(skopeo_program.__file__).read_text()
    return Program(
        words=["/usr/bin/python3", "-I", "-S", "-c", source],
        trees=trees,
        looked_at=looked_at or {},
        shown={"/etc/ssl": Path("/etc/ssl")},
        memory_bytes=_MEMORY_BYTES,
        processes=_PROCESSES,
        scratch_bytes=_SCRATCH_BYTES,
        has_proc=network is None,
        network=network,
    )


@contextmanager
def network(node: Node, slot: int = IMPORT_SLOT) -> Iterator[tuple[int, Path]]:
    """A network namespace with nothing in it, and where it is pinned. `slot`: whose user ids own it."""
    user, network = mounts.user_and_network_namespace(node.first_uid(slot), IDS_PER_SLOT)
    pin = node.mounts / f"{PIN_PREFIX}{os.getpid()}-{threading.get_native_id()}"
    try:
        mounts.pin_namespace(network, pin)
        yield network, pin
    finally:
        mounts.unmount(pin)
        pin.unlink(missing_ok=True)
        os.close(user)
        os.close(network)


def run(
    node: Node, program: Program, asked: dict[str, Any], watch: Callable[[], None], within_s: float
) -> dict[str, Any]:
    """The one line that comes out of it. Ends it when `watch` raises, and at the deadline."""
    asked = {"scratch": "/layers/.scratch" if "/layers" in program.trees else skopeo_program.SCRATCH, **asked}
    with confined(node, program) as within:
        process = subprocess.Popen(
            within.words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=within.environment,
            cwd="/",
            start_new_session=True,
        )
        try:
            with process:
                return _answer(process, within, asked, watch, within_s)
        finally:
            if process.poll() is None:
                process.kill()
                within.end()


def _answer(
    process: subprocess.Popen[bytes],
    within: Apart,
    asked: dict[str, Any],
    watch: Callable[[], None],
    within_s: float,
) -> dict[str, Any]:
    assert process.stdin
    assert process.stdout
    assert process.stderr
    heard: list[bytes] = [b"", b""]
    until = time.monotonic() + within_s

    def hear(number: int, stream: Any) -> None:
        with suppress(OSError, ValueError):  # closed, for whoever is ended meanwhile
            heard[number] = stream.read(_ANSWER_BYTES)
            while stream.read(65_536):
                pass

    streams = enumerate((process.stdout, process.stderr))
    listeners = [threading.Thread(target=hear, args=one, daemon=True) for one in streams]
    for one in listeners:
        one.start()
    try:
        with process.stdin as there:
            there.write(json.dumps(asked).encode())
    except BrokenPipeError:
        pass
    held = os.pidfd_open(process.pid)
    try:
        while not Held(held).ends_within(_LOOK_S):
            watch()
            if time.monotonic() > until:
                raise RuntimeFault(
                    apps.too_slow(within_s), code="registry_slow", next_step=apps.look_at_the_registry()
                )
        status = process.wait()
    except BaseException:
        process.kill()
        within.end()
        raise
    finally:
        os.close(held)
    for one in listeners:  # the last of it is on its way
        one.join(1)
    with suppress(ValueError, RecursionError):
        answer = json.loads(heard[0])
        if isinstance(answer, dict):
            return answer
    lines = heard[1].decode(errors="replace").strip().splitlines()
    raise CommandFailed(apps.odd_manifest(refusals.plain(lines[-1] if lines else f"code {status}")))

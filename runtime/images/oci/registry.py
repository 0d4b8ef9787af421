"""Asks a registry for one image: by skopeo, confined, over the one way out. And has umoci unpack what came."""

import json
import os
import platform
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from runtime.contract import AppOptions, ImageConfig, ImageHealth, Reference
from runtime.contract.app import EXPOSED_PORT
from runtime.contract.said import Said
from runtime.contract.words import apps
from runtime.errors import CommandFailed, RuntimeFault
from runtime.host import mounts
from runtime.images.confined import PIN_PREFIX, Program, confined
from runtime.images.oci import refusals, signatures, skopeo_program
from runtime.images.oci.egress import Egress, is_loopback, place_of_registry
from runtime.node import IDS_PER_SLOT, IMPORT_SLOT, Node
from runtime.sandboxes.base import Apart

MIB = 2**20
#: Docker takes 127 at most, and overlay file systems not many more.
MOST_LAYERS = 200
RESOLVE_S = 60.0
_MEMORY_BYTES, _PROCESSES, _SCRATCH_BYTES = 512 * MIB, 128, 64 * MIB
_ANSWER_BYTES = 8 * MIB
_LOOK_S = 0.2
#: As images name what uname(2) does.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

Watch = Callable[[int], None]
"""Told the bytes that came so far, several times a second; ends what it watches by raising."""


@dataclass(frozen=True)
class Resolved:
    """What a reference led to."""

    digest: str
    """Of what the registry has under this name: a manifest, or an index."""
    manifest: str
    layers: tuple[tuple[str, int], ...]
    """Digest and size in bytes, packed."""
    config: ImageConfig

    @property
    def packed_bytes(self) -> int:
        return sum(dict(self.layers).values())


class Registry:
    def __init__(self, node: Node, app: AppOptions):
        self.node = node
        self.reference = Reference.parse(app.image)
        self._access = app.registry

    def resolve(self, watch: Watch = lambda _: None, *, within_s: float = RESOLVE_S) -> Resolved:
        """Raises `RuntimeFault` with a sentence for a person."""
        answer = self._ask({"task": "resolve"}, {}, watch, within_s, most_bytes=64 * MIB)
        return _resolved(answer)

    def verify(self, found: Resolved, watch: Watch = lambda _: None, *, within_s: float = RESOLVE_S) -> None:
        """A no-op without a policy. Raises `RuntimeFault` for one that isn't signed as its policies say."""
        policies = {self.reference.host: self._access.signatures}
        if not self._access.signatures:
            return
        for one in self._access.signatures:
            host = urlsplit(one.lookaside).hostname or ""
            if not one.inward and is_loopback(host):
                raise refusals.of_the_way(apps.registry_inward(host))
        asked = {
            "task": "verify",
            "manifest": found.manifest,
            "layers": [digest for digest, _ in found.layers],
            "policy": signatures.policy_document(policies),
            "signatures": signatures.places_document(policies),
        }
        self._ask(asked, {}, watch, within_s, most_bytes=64 * MIB)

    def copy(self, found: Resolved, layers: Path, watch: Watch, *, within_s: float, most_bytes: int) -> None:
        """Its layers as they come, into this directory, each checked against its digest."""
        asked = {"task": "copy", "manifest": found.manifest}
        self._ask(asked, {"/layers": layers}, watch, within_s, most_bytes=most_bytes + 64 * MIB)

    def push(self, layers: Path, watch: Watch, *, within_s: float, is_dir: bool = False) -> str:
        """What `pack` made there, or (`is_dir`) what skopeo calls a `dir`, under this name; its digest."""
        asked = {"task": "push", "is_dir": is_dir}
        answer = self._ask(asked, {"/layers": layers}, watch, within_s, most_bytes=64 * MIB)
        digest = str(answer.get("digest"))
        if not re.fullmatch("sha256:[0-9a-f]{64}", digest):
            raise refusals.found("odd_manifest", {"why": "no digest"})
        return digest

    def _ask(
        self, asked: dict[str, Any], trees: dict[str, Path], watch: Watch, within_s: float, *, most_bytes: int
    ) -> dict[str, Any]:
        host, access = self.reference.host, self._access
        named = place_of_registry(host, insecure=access.insecure)
        if not access.inward and any(is_loopback(name) for name, _ in named):
            raise refusals.of_the_way(apps.registry_inward(host))
        outside = self.node.host_network if self.node.settings.network_namespace else None
        more_named, more_plain = signatures.asked_places(access.signatures)
        with ExitStack() as undo:
            namespace, pin = undo.enter_context(network(self.node))
            egress = undo.enter_context(
                Egress(
                    namespace,
                    outside,
                    named=(named if access.inward else frozenset()) | more_named,
                    plain=(named if access.insecure else frozenset()) | more_plain,
                    most_bytes=most_bytes,
                )
            )
            asked = {
                **asked,
                "name": self.reference.name,
                "host": host,
                "tag": self.reference.tag,
                "digest": self.reference.digest,
                "insecure": access.insecure,
                "username": access.username,
                "password": access.password,
                "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
                "environment": egress.environment,
            }
            program = _program(trees, network=pin)
            answer = _run(self.node, program, asked, lambda: watch(egress.received), within_s)
            if "refused" in answer:
                raise self._refused(answer["refused"], egress.why)
            return answer

    def _refused(self, told: Any, why: Said | None) -> RuntimeFault:
        host = self.reference.host
        if why is not None:
            return refusals.of_the_way(why)
        name, values = refusals.told(told)
        if name != "tool_refused":
            return refusals.found(name, values)
        said, image = str(values.get("said", "")), str(self.reference)
        text = said.lower()
        if "source image rejected" in text:
            return refusals.not_signed(image, said)
        if "unauthorized" in text or "authentication required" in text or "denied" in text:
            return RuntimeFault(
                apps.registry_unauthorized(host, image),
                code="registry_unauthorized",
                next_step=apps.check_the_name(),
                retryable=False,
            )
        if (
            "manifest unknown" in text
            or "name unknown" in text
            or "not found" in text
            or "status code 404" in text
        ):
            return RuntimeFault(
                apps.no_such_image(host, image),
                code="image_missing",
                next_step=apps.check_the_name(),
                retryable=False,
            )
        return RuntimeFault(
            apps.registry_refused(host, refusals.plain(said)),
            code="registry_refused",
            next_step=apps.look_at_the_registry(),
        )


def unpack(node: Node, layers: Path, tree: Path, watch: Watch, *, within_s: float) -> None:
    """The layers of `copy` become a tree, without any way out. Raises `RuntimeFault`."""
    program = _program({"/layers": layers, "/tree": tree}, network=None)
    asked = {"task": "unpack", "environment": {}, "username": "", "password": "", "host": ""}
    answer = _run(node, program, asked, lambda: watch(0), within_s)
    if "refused" in answer:
        raise refusals.found(*refusals.told(answer["refused"]))


def pack(
    node: Node,
    tree: Path,
    layers: Path,
    watch: Watch,
    *,
    config: dict[str, object],
    left_out: list[str],
    within_s: float,
) -> None:
    """A tree becomes an image of one layer, without any way out. Raises `RuntimeFault`."""
    program = _program({"/layers": layers}, network=None, looked_at={"/tree": tree})
    asked = {
        **{"task": "pack", "config": config, "left_out": left_out, "environment": {}},
        **{"username": "", "password": "", "host": ""},
    }
    answer = _run(node, program, asked, lambda: watch(0), within_s)
    if "refused" in answer:
        raise refusals.found(*refusals.told(answer["refused"]))


def _program(
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


def _run(
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

    for number, stream in enumerate((process.stdout, process.stderr)):
        threading.Thread(target=hear, args=(number, stream), daemon=True).start()
    try:
        with process.stdin as there:
            there.write(json.dumps(asked).encode())
    except BrokenPipeError:
        pass
    try:
        while True:
            try:
                status = process.wait(_LOOK_S)
                break
            except subprocess.TimeoutExpired:
                watch()
                if time.monotonic() > until:
                    raise RuntimeFault(
                        apps.too_slow(within_s), code="registry_slow", next_step=apps.look_at_the_registry()
                    ) from None
    except BaseException:
        process.kill()
        within.end()
        raise
    for _ in range(50):  # the last of it is on its way
        try:
            answer = json.loads(heard[0])
            if isinstance(answer, dict):
                return answer
        except ValueError:
            time.sleep(0.02)
    lines = heard[1].decode(errors="replace").strip().splitlines()
    raise CommandFailed(apps.odd_manifest(refusals.plain(lines[-1] if lines else f"code {status}")))


def _resolved(answer: dict[str, Any]) -> Resolved:
    try:
        layers = tuple((str(digest), int(size)) for digest, size in answer["layers"])
        found = Resolved(
            digest=str(answer["digest"]),
            manifest=str(answer["manifest"]),
            layers=layers,
            config=_config_of(answer["config"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as odd:
        why = str(odd.errors()[0]["msg"]) if isinstance(odd, ValidationError) else str(odd)
        raise refusals.found("odd_manifest", {"why": why}) from odd
    if any(size < 0 for _, size in layers) or not layers:
        raise refusals.found("odd_manifest", {"why": "layers"})
    if len(layers) > MOST_LAYERS:
        raise RuntimeFault(
            apps.too_many_layers(len(layers), MOST_LAYERS),
            code="too_many_layers",
            next_step=apps.look_at_the_registry(),
            retryable=False,
        )
    return found


def _config_of(document: dict[str, Any]) -> ImageConfig:
    """Of a configuration (image-spec, config.md) what is used. Raises for one of another platform."""
    own = f"linux/{_ARCHITECTURES.get(platform.machine(), platform.machine())}"
    theirs = f"{document.get('os', '?')}/{document.get('architecture', '?')}"
    if theirs != own:
        raise refusals.found("other_platform", {"platforms": theirs, "own": own})
    config = document.get("config") or {}

    def words(name: str) -> tuple[str, ...]:
        found = config.get(name) or []
        if not isinstance(found, list):
            raise TypeError(f"{name} is no list")
        return tuple(found)

    ports = [one for one in sorted(config.get("ExposedPorts") or ()) if re.fullmatch(EXPOSED_PORT, one)]
    return ImageConfig(
        entrypoint=words("Entrypoint"),
        cmd=words("Cmd"),
        env=words("Env"),
        user=str(config.get("User") or ""),
        workdir=str(config.get("WorkingDir") or ""),
        stop_signal=str(config.get("StopSignal") or ""),
        ports=tuple(ports[:64]),
        volumes=tuple(sorted(config.get("Volumes") or ())),
        health=_health_of(config.get("Healthcheck")),
    )


def _health_of(said: Any) -> ImageHealth | None:
    """Of Docker's `Healthcheck`, which OCI's own images lack: Test is NONE, CMD and words, or CMD-SHELL and
    text; durations are nanoseconds. None for what can't be asked: an image is not refused for that."""
    try:
        how, *words = said["Test"]
        command = tuple(words) if how == "CMD" else ("/bin/sh", "-c", words[0])
        if how not in ("CMD", "CMD-SHELL"):
            return None
        seconds = {
            field: float(said.get(name) or 0) / 1e9
            for field, name in (
                ("interval_s", "Interval"),
                ("timeout_s", "Timeout"),
                ("start_period_s", "StartPeriod"),
            )
        }
        return ImageHealth(command=command, retries=int(said.get("Retries") or 0), **seconds)
    except (TypeError, KeyError, ValueError, IndexError, AttributeError, OverflowError):
        return None

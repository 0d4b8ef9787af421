"""Asks a registry for one image: by skopeo, confined, over the one way out."""

import platform
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from runtime.contract import AppOptions, ImageConfig, ImageHealth, Reference
from runtime.contract.app import EXPOSED_PORT
from runtime.contract.said import Said
from runtime.contract.words import apps
from runtime.errors import RuntimeFault
from runtime.images.oci import refusals, signatures, tools
from runtime.images.oci.egress import Egress, is_loopback, place_of_registry
from runtime.images.oci.tools import MIB, Watch
from runtime.node import Node

#: Docker takes 127 at most, and overlay file systems not many more.
MOST_LAYERS = 200
RESOLVE_S = 60.0
Places = frozenset[tuple[str, int]]
_DIGEST = "sha256:[0-9a-f]{64}"
#: As images name what uname(2) does.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Resolved:
    """What a reference led to."""

    digest: str
    """Of what the registry has under this name: a manifest, or an index."""
    manifest: str
    layers: tuple[tuple[str, int], ...]
    """Digest and size in bytes, packed."""
    config: ImageConfig
    contents: tuple[str, ...]
    """Digest of each layer, unpacked."""

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
        return self.digest_in(self._ask(asked, {"/layers": layers}, watch, within_s, most_bytes=64 * MIB))

    @staticmethod
    def digest_in(answer: dict[str, Any]) -> str:
        """Of what was pushed."""
        digest = str(answer.get("digest"))
        if not re.fullmatch(_DIGEST, digest):
            raise refusals.found("odd_manifest", {"why": "no digest"})
        return digest

    def _ask(
        self, asked: dict[str, Any], trees: dict[str, Path], watch: Watch, within_s: float, *, most_bytes: int
    ) -> dict[str, Any]:
        host, access = self.reference.host, self._access
        named, plain = self.places()
        outside = self.node.host_network if self.node.settings.network_namespace else None
        with ExitStack() as undo:
            namespace, pin = undo.enter_context(tools.network(self.node))
            egress = undo.enter_context(
                Egress(
                    namespace,
                    outside,
                    named=named,
                    plain=plain,
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
                "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
                "environment": egress.environment,
            }
            program = tools.program(trees, network=pin)
            answer = tools.run(self.node, program, asked, lambda: watch(egress.received), within_s)
            if "refused" in answer:
                raise self.refused(answer["refused"], egress.why)
            return answer

    def places(self) -> tuple[Places, Places]:
        """Hosts and ports that may lie inward, and those that may be asked without TLS. Raises `RuntimeFault`
        for a registry on loopback that may not."""
        host, access = self.reference.host, self._access
        named = place_of_registry(host, insecure=access.insecure)
        if not access.inward and any(is_loopback(name) for name, _ in named):
            raise refusals.of_the_way(apps.registry_inward(host))
        more_named, more_plain = signatures.asked_places(access.signatures)
        return (
            (named if access.inward else frozenset()) | more_named,
            (named if access.insecure else frozenset()) | more_plain,
        )

    def refused(self, told: Any, why: Said | None) -> RuntimeFault:
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


def _resolved(answer: dict[str, Any]) -> Resolved:
    try:
        layers = tuple((str(digest), int(size)) for digest, size in answer["layers"])
        found = Resolved(
            digest=str(answer["digest"]),
            manifest=str(answer["manifest"]),
            layers=layers,
            config=_config_of(answer["config"]),
            contents=_contents_of(answer["config"], len(layers)),
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


def _contents_of(document: dict[str, Any], count: int) -> tuple[str, ...]:
    found = tuple(document["rootfs"]["diff_ids"])
    if len(found) != count or not all(isinstance(one, str) and re.fullmatch(_DIGEST, one) for one in found):
        raise ValueError("diff_ids")
    return found


def _config_of(document: dict[str, Any]) -> ImageConfig:
    """Of a configuration (image-spec, config.md) what is used. Raises for one of another platform."""
    own = f"linux/{ARCHITECTURES.get(platform.machine(), platform.machine())}"
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

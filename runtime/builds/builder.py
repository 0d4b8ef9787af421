"""Builds an image: by git and buildah, each in a container of its own, within what its tenant may have.

A step has no more than it needs. What fetches the context has the key of the repository and one way out; what
fetches the images that it is built on has names and passwords of registries; what is built has neither, and a
way out to what everybody may reach; what brings it to the registry runs nothing of it.
"""

import json
import os
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runtime.backups.places import DIAL_SOURCE
from runtime.builds import inside
from runtime.builds.places import MIB, BuildPlaces, Log
from runtime.contract import AppOptions, Reference
from runtime.contract.build import BuildApp, BuildSecrets, GitSource
from runtime.contract.said import Said
from runtime.contract.words import builds as words
from runtime.errors import RuntimeFault
from runtime.host.processes import Held
from runtime.images.confined import BUILDING, Program, confined
from runtime.images.oci.egress import Egress, Sentences, is_loopback, place_of_registry
from runtime.images.oci.registry import Registry
from runtime.images.oci.signatures import asked_places, places_document, policy_document
from runtime.images.oci.tools import network
from runtime.node import Node
from runtime.sandboxes.base import Apart, Payer

_LOOK_S, _MOST_ANSWER, _PIECE = 0.2, 2**20, 64 * 1024
_SCRATCH_BYTES, _OPEN_FILES = 32 * MIB, 4096
_GIT = Sentences(words.git_unknown, words.git_inward, words.git_silent)
#: Ends what it watches by raising; several times a second.
Watch = Callable[[], None]


@dataclass
class Builder:
    node: Node
    work: BuildApp
    secrets: BuildSecrets
    places: BuildPlaces
    slot: int
    log: Log
    watch: Watch
    archive: Path | None = None
    """Directory of what was handed in."""
    bases: list[str] = field(default_factory=list)

    def fetch(self) -> str:
        """The context; the commit that it is of, empty where it is of none."""
        git = self.work.git
        named = _named(git) if git is not None else frozenset()
        asked = {
            "task": "fetch",
            "git": self._told_of_git(git),
            "has_archive": self.archive is not None,
        }
        if git is not None and not git.inward and any(is_loopback(host) for host, _ in named):
            raise refused(words.git_inward(next(iter(named))[0]), "git_inward")
        with ExitStack() as undo:
            pin, egress, out = None, None, {}
            if git is not None:
                namespace, pin = undo.enter_context(network(self.node, self.slot))
                egress = undo.enter_context(
                    self._egress(
                        namespace,
                        named=named if git.inward else frozenset(),
                        plain=named if git.insecure else frozenset(),
                    )
                )
                egress.said = _GIT
                out = _proxy(egress)
            answer = self._run({**asked, "environment": out}, network=pin, blame=egress)
        bases = answer.get("bases")
        self.bases = [str(one)[:400] for one in bases[:64]] if isinstance(bases, list) else []
        self._keep_known_hosts(str(answer.get("known_hosts", "")))
        commit = str(answer.get("commit", ""))
        return commit if len(commit) in (40, 64) and not commit.strip("0123456789abcdef") else ""

    def pull(self) -> None:
        """What it is built on, by the tenant's names for its registries. A no-op where that is nothing."""
        if not self.bases:
            return
        references = [_base(one) for one in self.bases]
        access = {one.host: one.access for one in self.secrets.registries}
        named: set[tuple[str, int]] = set()
        plain: set[tuple[str, int]] = set()
        auths: dict[str, dict[str, str]] = {}
        images: list[tuple[str, bool]] = []
        for name, reference in zip(self.bases, references, strict=True):
            known = access.get(reference.host)
            is_insecure = known is not None and known.insecure
            place = place_of_registry(reference.host, insecure=is_insecure)
            if (known is None or not known.inward) and any(is_loopback(host) for host, _ in place):
                raise refused(words.git_inward(reference.host), "registry_inward")
            named |= place if known is not None and known.inward else set()
            plain |= place if is_insecure else set()
            if known is not None and (known.username or known.password):
                auths[reference.host] = {"auth": _pair(known.username, known.password)}
            images.append((name, is_insecure))
        policies = {one.host: access[one.host].signatures for one in references if one.host in access}
        more_named, more_plain = asked_places(one for each in policies.values() for one in each)
        named, plain = named | more_named, plain | more_plain
        with ExitStack() as undo:
            namespace, pin = undo.enter_context(network(self.node, self.slot))
            egress = undo.enter_context(self._egress(namespace, named=frozenset(named), plain=frozenset(plain)))
            asked = {
                "task": "pull",
                "images": images,
                "auths": auths,
                "policy": policy_document(policies),
                "signatures": places_document(policies),
                "environment": _proxy(egress),
            }
            self._run(asked, network=pin, blame=egress)

    def build(self) -> None:
        """What the Dockerfile says, with a way out to what everybody may reach, over TLS or not."""
        asked = {"task": "build", "secrets": self.secrets.secrets, "target": self.work.target}
        with ExitStack() as undo:
            namespace, pin = undo.enter_context(network(self.node, self.slot))
            egress = undo.enter_context(self._egress(namespace))
            egress.is_plain = True
            self._run({**asked, "environment": _proxy(egress)}, network=pin)

    def push(self, app: AppOptions) -> str:
        """What was built becomes this in its registry; its digest."""
        registry = Registry(self.node, app)
        named, plain = registry.places()
        reference, access = registry.reference, app.registry
        auths = {reference.host: {"auth": _pair(access.username, access.password)}}
        with ExitStack() as undo:
            namespace, pin = undo.enter_context(network(self.node, self.slot))
            egress = undo.enter_context(self._egress(namespace, named=named, plain=plain))
            asked = {
                **{"task": "push", "to": f"{reference.name}:{reference.tag}", "insecure": access.insecure},
                **{"auths": auths if access.username or access.password else {}, "environment": _proxy(egress)},
            }
            answer = self._run(asked, network=pin, refuse=lambda told: registry.refused(told, egress.why))
            return registry.digest_in(answer)

    def take_image(self) -> None:
        """The archive is the image."""
        self._run({"task": "take_image", "environment": {}}, network=None)

    # ---------------------------------------------------------------------------------------------

    def _egress(self, namespace: int, **how: Any) -> Egress:
        outside = self.node.host_network if self.node.settings.network_namespace else None
        return Egress(namespace, outside, most_bytes=4 * self.work.disk_mb * MIB, **how)

    def _told_of_git(self, git: GitSource | None) -> dict[str, Any] | None:
        if git is None:
            return None
        known = self.places.known_hosts.read_text() if self.places.known_hosts.exists() else ""
        if git.host_key:
            host, port = next(iter(_named(git)))
            known = f"{host if port == 22 else f'[{host}]:{port}'} {git.host_key}\n"
        return {
            **git.model_dump(),
            "username": self.secrets.username,
            "token": self.secrets.token,
            "deploy_key": self.secrets.deploy_key,
            "known_hosts": known,
            "dial": DIAL_SOURCE,
        }

    def _keep_known_hosts(self, text: str) -> None:
        if text and not (self.work.git and self.work.git.host_key):
            self.places.known_hosts.write_text(text[:8192], errors="replace")

    def _run(
        self,
        asked: dict[str, Any],
        *,
        network: Path | None,
        blame: Egress | None = None,
        refuse: Callable[[Any], RuntimeFault] | None = None,
    ) -> dict[str, Any]:
        work = self.work
        whole = {
            **{"folder": work.folder, "dockerfile": work.dockerfile, "args": work.args},
            **{"dockerfile_text": work.dockerfile_text, **asked},
        }
        with confined(self.node, self._program(network)) as within:
            answer, status = _Run(within, whole, self.log, self.watch).answer()
        if answer is not None and "refused" not in answer:
            return answer
        if blame is not None and blame.why is not None:
            self.log.say(str(blame.why))
            raise refused(blame.why, blame.why.code.rpartition(".")[2])
        if answer is None:
            is_killed = status == 137
            why = words.no_memory(work.memory_mb) if is_killed else words.tool_failed(f"code {status}")
            raise refused(why, "no_memory" if is_killed else "tool_failed")
        raise refuse(answer["refused"]) if refuse else found(answer["refused"])

    def _program(self, network: Path | None) -> Program:
        shown = {"/etc/ssl": Path("/etc/ssl")}
        if self.archive is not None:
            shown[inside.ARCHIVES] = self.archive
        places = self.places
        return Program(
            words=["/usr/bin/python3", "-I", "-S", "-c", Path(inside.__file__).read_text()],
            trees={"/work": places.work, inside.CACHE: places.cache, inside.LAYERS: places.layers},
            shown=shown,
            memory_bytes=self.work.memory_mb * MIB,
            processes=self.work.processes,
            open_files=_OPEN_FILES,
            scratch_bytes=_SCRATCH_BYTES,
            in_memory={inside.SECRETS: 8 * MIB, "/run": 64 * MIB, "/var": 16 * MIB, "/sys": 64 * 1024},
            has_proc=True,
            network=network,
            has_users=True,
            hostname="build",
            is_background=True,
            slot=self.slot,
            capabilities=BUILDING,
            payer=Payer(self.work.tenant_id, self.work.envelope, self.work.cpu),
        )


class _Run:
    """One program in there: its stderr is the log, the one line of its stdout the answer."""

    def __init__(self, within: Apart, asked: dict[str, Any], log: Log, watch: Watch):
        self.within, self.asked, self.log, self.watch = within, asked, log, watch
        self.heard = b""

    def answer(self) -> tuple[dict[str, Any] | None, int]:
        process = subprocess.Popen(
            self.within.words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.within.environment,
            cwd="/",
            start_new_session=True,
        )
        try:
            with process:
                self._go(process)
        finally:
            if process.poll() is None:
                process.kill()
                self.within.end()
        try:
            found = json.loads(self.heard)
        except (ValueError, RecursionError):  # what a build runs may have led it astray
            found = None
        return found if isinstance(found, dict) else None, process.returncode

    def _go(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin
        listeners = [
            threading.Thread(target=one, args=(stream,), daemon=True)
            for one, stream in ((self._hear, process.stdout), (self._write, process.stderr))
        ]
        for one in listeners:
            one.start()
        try:
            with process.stdin as there:
                there.write(json.dumps(self.asked).encode())
        except BrokenPipeError:
            pass
        held = os.pidfd_open(process.pid)
        try:
            while not Held(held).ends_within(_LOOK_S):
                self.watch()
        except BaseException:
            process.kill()
            self.within.end()
            raise
        finally:
            os.close(held)
        self.within.end()  # what it left behind, and holds the pipes
        for one in listeners:
            one.join(5)

    def _hear(self, stream: Any) -> None:
        while piece := stream.read1(_PIECE):
            if len(self.heard) < _MOST_ANSWER:
                self.heard += piece

    def _write(self, stream: Any) -> None:
        while piece := stream.read1(_PIECE):
            self.log.write(piece)


def _named(git: GitSource) -> frozenset[tuple[str, int]]:
    """Host and port that a repository lies at."""
    if "://" not in git.url:
        return frozenset({(git.url.partition("@")[2].partition(":")[0].lower(), 22)})
    url = urlsplit(git.url)
    port = url.port or {"https": 443, "http": 80, "ssh": 22}[url.scheme]
    return frozenset({((url.hostname or "").lower(), port)})


def _base(name: str) -> Reference:
    try:
        return Reference.parse(name)
    except ValueError as odd:
        raise refused(words.odd_base(_plain(name)), "odd_base") from odd


def _proxy(egress: Egress) -> dict[str, str]:
    """By the names that programs know it by."""
    found = egress.environment
    return {**found, **{name.lower(): value for name, value in found.items()}}


def _pair(username: str, password: str) -> str:
    return b64encode(f"{username}:{password}".encode()).decode()


def refused(said: Said, code: str = "build_failed") -> RuntimeFault:
    step = words.check_the_repository() if code.startswith("git") else words.read_the_log()
    return RuntimeFault(said, code=code, next_step=step, retryable=True)


def found(told: Any) -> RuntimeFault:
    """The words are ours. Who was led astray may say anything."""
    try:
        name, values = told
        said = words.FOUND[name](**{str(key): _plain(str(one)) for key, one in values.items()})
    except (KeyError, TypeError, ValueError, AttributeError):
        name, said = "tool_failed", words.tool_failed("?")
    return refused(said, {"not_fetched": "git_failed", "not_built": "build_failed"}.get(name, name))


def _plain(text: str) -> str:
    return "".join(one for one in text if one.isprintable())[:300]

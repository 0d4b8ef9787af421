"""The OCI bundle: the configuration that the OCI runtime makes the environment's processes from."""

import json
import shutil
from base64 import b64encode
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic_core import to_json

from runtime import answers
from runtime.contract import EnvironmentSpec, JailWalls, Kernel, Kind, SecurityProfile
from runtime.contract.said import Said
from runtime.contract.words import agent, drift, steps
from runtime.errors import RuntimeFault
from runtime.glance import Glance
from runtime.node import Node
from runtime.oci.bpf import program
from runtime.oci.config import DEFAULT_STOP, KIND, STOP_SIGNAL
from runtime.oci.jail import COMMAND, walls_of
from runtime.oci.seccomp import profile
from runtime.resources.base import Found, Resource
from runtime.sandboxes.shared.cgroup import Cgroup
from runtime.sandboxes.shared.container import init_pid

if TYPE_CHECKING:
    from typing import Self

    from runtime.sandboxes.base import Config, Sandbox

#: What the container around a guarded kernel may: that makes namespaces and mounts to shut itself in.
AROUND_GUARDED = SecurityProfile(nesting=True)
#: File beside the configuration: the counters of boots and installs that what runs was started for.
BOOT = "boot"


def booted(node: Node, environment_id: UUID) -> tuple[int, int] | None:
    """Counters of boots and installs that the environment was last started for; None when it can't be told."""
    with suppress(OSError, ValueError):
        boots, installs = (node.bundle(environment_id) / BOOT).read_text().split()
        return int(boots), int(installs)
    return None


def is_app(node: Node, environment_id: UUID) -> bool:
    """Whether what was made last is one application, not a system."""
    return _annotations(node, environment_id).get(KIND) == "app"


def is_one_command(node: Node, environment_id: UUID) -> bool:
    """Whether what was made last is one application or one command, and no system with an init of its own."""
    return _annotations(node, environment_id).get(KIND) in ("app", COMMAND)


def stop_signal_of(node: Node, environment_id: UUID) -> str:
    """Of what was made last."""
    return _annotations(node, environment_id).get(STOP_SIGNAL, DEFAULT_STOP)


def _annotations(node: Node, environment_id: UUID) -> dict[str, str]:
    with suppress(OSError, ValueError, KeyError):
        found: dict[str, str] = json.loads(_file(node, environment_id).read_bytes())["annotations"]
        return found
    return {}


def process_of(node: Node, environment_id: UUID) -> dict[str, Any]:
    """OCI `process` of what was made last. Raises `RuntimeFault` (`no_bundle`)."""
    try:
        found: dict[str, Any] = json.loads(_file(node, environment_id).read_bytes())["process"]
    except (OSError, ValueError, KeyError) as odd:
        raise RuntimeFault(agent.no_bundle(), code="no_bundle") from odd
    return found


def _file(node: Node, environment_id: UUID) -> Path:
    return node.bundle(environment_id) / "config.json"


class Bundle(Resource):
    """Written only while the environment doesn't run: what runs, runs by what is in the file."""

    name = "OCI bundle"

    def __init__(self, node: Node, config: "Config"):
        super().__init__(node)
        self._config = config
        self._whole: dict[UUID, tuple[int, int, int]] = {}
        """Inode, time and size of what could be read when it was looked at last."""

    @classmethod
    def on(cls, node: Node, sandbox: "Sandbox") -> "Self":
        return cls(node, sandbox.config)

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        if init_pid(self.node, spec.id) is not None:
            return None
        config = self._config(spec)
        _fill(self.node, config, spec)
        directory = self.node.bundle(spec.id)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / BOOT).write_text(f"{spec.boots} {spec.installs}")
        text = to_json(config)
        file = _file(self.node, spec.id)
        with suppress(FileNotFoundError):
            if file.read_bytes() == text:
                return None
        temporary = directory / "config.new"
        temporary.write_bytes(text)
        temporary.rename(file)
        return None

    def remove(self, environment_id: UUID) -> Said | None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self.node.bundle(environment_id))
        return None

    def inspect(self, environment_id: UUID) -> Mapping[str, Any] | None:
        with suppress(OSError, ValueError):
            config = json.loads(_file(self.node, environment_id).read_text())
            return {"hostname": config.get("hostname"), "args": config["process"]["args"]}
        return None

    def drifted(self, spec: EnvironmentSpec, glance: Glance) -> Said | None:
        """Understood anew only when it was written since."""
        with suppress(OSError):
            seen = _file(self.node, spec.id).stat()
            written = seen.st_ino, seen.st_mtime_ns, seen.st_size
            if self._whole.get(spec.id) == written:
                return None
            if self.inspect(spec.id) is not None:
                self._whole[spec.id] = written
                return None
        return drift.gone(steps.named(self.name))

    def inventory(self) -> Iterable[Found]:
        for entry in (self.node.root / "environments").iterdir():
            if (entry / "bundle").is_dir():
                with suppress(ValueError):
                    yield Found(self.name, UUID(entry.name), f"{entry.name}/bundle")


def _fill(node: Node, config: dict[str, Any], spec: EnvironmentSpec) -> None:
    """What a kind says nothing of: the control group, and how crun is spared work."""
    cgroup = Cgroup(node)
    path = cgroup.path(spec)
    config["linux"]["cgroupsPath"] = "/" + cgroup.groups.payload(path)
    # an app makes no groups of its own, another kernel has its own, and a directory's entries have none
    is_system = not spec.runs_app and spec.kind is not Kind.DIRECTORY
    if is_system and spec.runs_on is Kernel.SHARED:
        config["mounts"] = [*config["mounts"], *cgroup.groups.mounts(path)]
    if spec.kind is Kind.DIRECTORY:  # it has all that it wants of its own: each entry gets a group below this
        return
    is_answered = answers.is_there(node.mounts)
    is_guarded = spec.runs_on is Kernel.GUARDED
    jail = None if is_guarded else walls_of(spec)
    security = AROUND_GUARDED if is_guarded else spec.security
    if is_answered:
        config["linux"]["seccomp"] = {
            **profile(security, is_answered=True, jail=jail),
            "listenerPath": str(answers.socket_below(node.mounts)),
            "listenerMetadata": f"{spec.tenant_id}/{spec.id}",
        }
    config["annotations"] = {
        **config.get("annotations", {}),
        "run.oci.keep_original_groups": "0",
        **_compiled(security, is_answered, jail),
    }


@cache
def _compiled(security: SecurityProfile, is_answered: bool, jail: JailWalls | None) -> dict[str, str]:
    """The annotation that spares crun the compiling of this filter; nothing where it can't be compiled here.
    Other runtimes don't know it, and compile `linux.seccomp`, which says the same."""
    made = program(profile(security, is_answered=is_answered, jail=jail))
    return {} if made is None else {"run.oci.seccomp_bpf_data": b64encode(made).decode()}

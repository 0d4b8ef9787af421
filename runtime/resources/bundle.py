"""The OCI bundle: the configuration that the OCI runtime makes the environment's processes from."""

import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from runtime.contract import EnvironmentSpec
from runtime.contract.said import Said
from runtime.host.oci import init_pid
from runtime.node import Node
from runtime.resources.base import Found, Resource

#: File beside the configuration: the counters of boots and installs that what runs was started for.
BOOT = "boot"


def booted(node: Node, environment_id: UUID) -> tuple[int, int] | None:
    """Counters of boots and installs that the environment was last started for; None when it can't be told."""
    with suppress(OSError, ValueError):
        boots, installs = (node.bundle(environment_id) / BOOT).read_text().split()
        return int(boots), int(installs)
    return None


class Bundle(Resource):
    """Written only while the environment doesn't run: what runs, runs by what is in the file."""

    name = "OCI bundle"

    def ensure(self, spec: EnvironmentSpec) -> Said | None:
        if init_pid(self.node, spec.id) is not None:
            return None
        from runtime.kernels import kernel_of  # noqa: PLC0415 (kinds import resources)
        from runtime.kinds import kind_of  # noqa: PLC0415

        config = kind_of(spec.kind).config(self.node, spec)
        kernel_of(spec.kernel).fill(config)
        directory = self.node.bundle(spec.id)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (directory / BOOT).write_text(f"{spec.boots} {spec.installs}")
        text = to_json(config)
        file = directory / "config.json"
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
            config = json.loads((self.node.bundle(environment_id) / "config.json").read_text())
            return {"hostname": config.get("hostname"), "args": config["process"]["args"]}
        return None

    def inventory(self) -> Iterable[Found]:
        for entry in (self.node.root / "environments").iterdir():
            if (entry / "bundle").is_dir():
                with suppress(ValueError):
                    yield Found(self.name, UUID(entry.name), f"{entry.name}/bundle")

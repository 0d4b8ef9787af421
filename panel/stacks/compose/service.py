"""One service, as it is to be made: each field what an environment of kind app takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Condition(StrEnum):
    """What of another service it waits for."""

    STARTED = "service_started"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"


@dataclass(frozen=True)
class Wait:
    condition: Condition = Condition.STARTED
    required: bool = True
    """Off: a service that isn't in the stack, or can't be made so, is not waited for."""


@dataclass(frozen=True)
class Mount:
    volume: str
    """The name under `volumes` at the top of the file."""
    path: str
    read_only: bool = False


@dataclass(frozen=True)
class PublishedPort:
    port: int
    node_port: int | None = None
    """As the file has it; None: any."""
    protocol: str = "tcp"


@dataclass
class Service:
    """Filled while it is read, and not changed afterwards."""

    name: str
    image: str = ""
    app: dict[str, Any] = field(default_factory=dict)
    """Of `runtime.contract.AppRun`, without secrets."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Files below /run/secrets, and what is in them."""
    ports: list[PublishedPort] = field(default_factory=list)
    mounts: list[Mount] = field(default_factory=list)
    waits: dict[str, Wait] = field(default_factory=dict)
    aliases: list[str] = field(default_factory=list)
    """Further names that the others find it by."""
    links: dict[str, str] = field(default_factory=dict)
    """Names of its own for others: alias to service."""
    restart: str = "never"
    stop_timeout_s: float = 10.0
    limits: dict[str, Any] = field(default_factory=dict)
    replicas: int = 1
    profiles: tuple[str, ...] = ()
    nameservers: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    has_network: bool = True

    def document(self) -> Mapping[str, Any]:
        """All that one of its environments is made from: whoever differs in it is made anew."""
        return {
            "image": self.image,
            "app": self.app,
            "secrets": self.secrets,
            "ports": [[one.port, one.node_port, one.protocol] for one in self.ports],
            "mounts": [[one.volume, one.path, one.read_only] for one in self.mounts],
            "restart": self.restart,
            "stop_timeout_s": self.stop_timeout_s,
            "limits": self.limits,
            "nameservers": list(self.nameservers),
            "devices": list(self.devices),
            "has_network": self.has_network,
        }

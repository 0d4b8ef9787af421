"""How an environment is reached by the gateway, on its overview."""

import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from panel.environments.features import Feature
from panel.environments.models import Environment
from runtime.contract import Kind, Profile

_LOOPBACK = ("127.0.0.1", "::1")


class Gateway(Feature):
    def overview(self, environment: Environment, query: Mapping[str, str]) -> Mapping[str, Any]:
        return {"gateway": commands(environment)}


def commands(environment: Environment) -> list[str]:
    """Command lines that work; none where there is no gateway."""
    if not settings.WADAH.ssh:
        return []
    address, _colon, port = settings.WADAH.ssh.rpartition(":")
    host = _host(address.strip("[]"))
    user = f"{environment.name}.{environment.tenant.slug}"
    profile = environment.wanted.directory.profile if environment.wanted.directory else None
    every = {
        Profile.SHELL: f"ssh -p {port} {user}@{host}",
        Profile.SFTP: f"sftp -P {port} {user}@{host}",
        Profile.RSYNC: f"rsync -a -e 'ssh -p {port}' FOLDER {user}@{host}:",
        Profile.GIT: f"git clone ssh://{user}@{host}:{port}/~/REPOSITORY.git",
    }
    is_all = profile is None or profile is Profile.SHELL or environment.kind != Kind.DIRECTORY
    return list(every.values()) if is_all else [every[profile]] if profile else []


def _host(address: str) -> str:
    """What people type: the address that it listens on, or the panel's own name where that is every one."""
    if address and address not in ("0.0.0.0", "::"):
        return address
    name = urlsplit(settings.WADAH.url).hostname or ""
    return socket.gethostname() if name in (*_LOOPBACK, "localhost") else name

"""The installation's own registry: Debian's docker-registry, on a unix socket, believing the panel's tokens."""

import json
import os
import secrets
import shutil

from runtime.install.files import put
from runtime.install.front import Front
from runtime.install.host import ids
from runtime.install.layout import Layout


def is_there() -> bool:
    """Whether the machine has the program."""
    return shutil.which("docker-registry") is not None


def write_registry(layout: Layout, front: Front) -> None:
    """Its configuration (YAML, of which JSON is a part), and the secret of its uploads, which is made once. A
    no-op where all is so, and where the program isn't there."""
    if not is_there():
        return
    uid, gid = ids()
    place = layout.home / "registry"
    place.mkdir(mode=0o750, exist_ok=True)
    os.chown(place, uid, gid)
    file = layout.etc / "registry.secret"
    secret = file.read_text().strip() if file.exists() else secrets.token_urlsafe(32)
    put(file, secret + "\n", mode=0o600)
    put(layout.etc / "registry.yml", configuration(layout, front, secret), mode=0o640, owner=(0, gid))


def configuration(layout: Layout, front: Front, secret: str) -> str:
    purging = {"enabled": True, "age": "24h", "interval": "1h", "dryrun": False}
    token = {
        "realm": f"{front.url}/registry/token",
        "service": "wadah-registry",
        "issuer": "wadah-panel",
        "rootcertbundle": str(layout.panel / "registry.crt"),
    }
    return json.dumps(
        {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(layout.home / "registry" / "data")},
                "delete": {"enabled": True},
                "maintenance": {"uploadpurging": purging},
            },
            "http": {
                "net": "unix",
                "addr": str(layout.run / "registry.sock"),
                "secret": secret,
                "relativeurls": True,
                "headers": {"X-Content-Type-Options": ["nosniff"]},
            },
            "auth": {"token": token},
        },
        indent=1,
    )

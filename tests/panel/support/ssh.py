"""People with keys, and environments that they name at the gateway."""

from typing import Any

from panel.accounts.models import SshKey
from panel.environments.models import Environment
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from tests.panel.support import factories

#: A fingerprint, and an address of a client.
PRINT, HERE = "SHA256:" + "a" * 43, "192.0.2.7"


def owner_with_key(tenant: Tenant, fingerprint: str = PRINT, role: str = "owner") -> Actor:
    actor = factories.member(tenant, role)
    SshKey.objects.create(user=actor.user, name="k", text="ssh-ed25519 AAAA", fingerprint=fingerprint)
    return actor


def named(tenant: Tenant, name: str = "files", **fields: Any) -> Environment:
    return factories.environment(tenant, name=name, **fields)

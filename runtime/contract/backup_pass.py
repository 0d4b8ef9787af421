"""The pass by which one node uses one repository in the directory of another.

An Ed25519-signed JWT as tickets are (`runtime.contract.ticket`): the panel signs, the node that has the
directory knows the panel's public key and keeps no list. It opens one repository, as long as a job may take.
"""

import time
from typing import Annotated, Any, Self
from uuid import UUID

import jwt
from pydantic import Field

from runtime.contract.base import Message, Name

#: The longest job of a backup has twelve hours, and waits for its turn.
LIFETIME_S = 24 * 3600
_ALGORITHM = "EdDSA"
_ISSUER = "wadah-panel"
#: Apart from tickets, which have the node's name alone for an audience.
_AUDIENCE = "backups of "


class BackupPass(Message):
    node: Name
    """That has the directory."""
    asker: Name
    """The node that it was given to, for the other's log."""
    tenant_id: UUID
    name: Name
    """Of the repository."""
    expires_at: Annotated[int, Field(ge=0)]

    @classmethod
    def issue(cls, *, node: str, asker: str, tenant_id: UUID, name: str) -> Self:
        until = int(time.time()) + LIFETIME_S
        return cls(node=node, asker=asker, tenant_id=tenant_id, name=name, expires_at=until)

    def sign(self, private_key_pem: str) -> str:
        claims: dict[str, Any] = {
            "iss": _ISSUER,
            "aud": _AUDIENCE + self.node,
            "exp": self.expires_at,
            "sub": self.asker,
            "tenant": str(self.tenant_id),
            "name": self.name,
        }
        return jwt.encode(claims, private_key_pem, algorithm=_ALGORITHM)

    @classmethod
    def verify(cls, token: str, *, public_key_pem: str, node: str) -> Self:
        """Raises `jwt.InvalidTokenError` or `ValueError` for one that is forged, stale or for another node."""
        claims = jwt.decode(
            token,
            public_key_pem,
            algorithms=[_ALGORITHM],
            audience=_AUDIENCE + node,
            issuer=_ISSUER,
            options={"require": ["exp", "aud", "iss", "sub"]},
        )
        return cls(
            node=node,
            asker=claims["sub"],
            tenant_id=claims.get("tenant"),
            name=claims.get("name"),
            expires_at=claims["exp"],
        )

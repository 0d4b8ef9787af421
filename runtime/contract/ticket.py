"""The ticket that the panel signs for every request to a node agent.

An Ed25519-signed JWT (RFC 7519, RFC 8037): the panel holds the private key, the node only the public
one, so that who takes a node can't make tickets for others. One environment, one purpose, 30 seconds,
used once.
"""

import time
from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID, uuid4

import jwt
from pydantic import Field

from runtime.contract.base import Line, Message, Name

LIFETIME_S = 30
_ALGORITHM = "EdDSA"
_ISSUER = "wadah-panel"


class Purpose(StrEnum):
    CONSOLE = "console"
    """Watch and type at the VE's own console."""
    TERMINAL = "terminal"
    """A root shell, kept under a name."""
    EXEC = "exec"
    """One command, its output and exit code."""
    FILES = "files"
    """Look at files of a snapshot."""
    KERNEL = "kernel"
    """What the kernel counts of it, and which walls it has."""
    IMAGE = "image"
    """Hand in an image archive; the subject is no environment then."""
    INSPECT = "inspect"
    """Ask a registry what an image says of itself; the subject is the tenant."""
    BUILD = "build"
    """Read what a build says; the subject is the build."""


class Ticket(Message):
    environment_id: UUID | None
    node: Name
    purpose: Purpose
    user: Line
    """Who asked, for the node's own log."""
    expires_at: Annotated[int, Field(ge=0)]
    id: UUID = Field(default_factory=uuid4)
    read_only: bool = False
    tenant_id: UUID | None = None
    """On whose account it goes, a top tenant for all below it: they take turns at what is dear on a node."""

    @property
    def payer(self) -> UUID:
        """Whose turn it is when it is used."""
        return self.tenant_id or self.environment_id or self.id

    @classmethod
    def issue(
        cls,
        *,
        environment_id: UUID | None,
        node: str,
        purpose: Purpose,
        user: str,
        read_only: bool = False,
        tenant_id: UUID | None = None,
    ) -> Self:
        """A ticket that is good from now for `LIFETIME_S` seconds."""
        return cls(
            environment_id=environment_id,
            node=node,
            purpose=purpose,
            user=user,
            read_only=read_only,
            tenant_id=tenant_id,
            expires_at=int(time.time()) + LIFETIME_S,
        )

    def sign(self, private_key_pem: str) -> str:
        claims: dict[str, Any] = {
            "iss": _ISSUER,
            "aud": self.node,
            "exp": self.expires_at,
            "jti": str(self.id),
            "env": str(self.environment_id) if self.environment_id else None,
            "purpose": self.purpose.value,
            "user": self.user,
            "ro": self.read_only,
            "tenant": str(self.tenant_id) if self.tenant_id else None,
        }
        return jwt.encode(claims, private_key_pem, algorithm=_ALGORITHM)

    @classmethod
    def verify(cls, token: str, *, public_key_pem: str, node: str) -> Self:
        """The ticket in `token`; raises `jwt.InvalidTokenError` when it is forged, stale or another node's."""
        claims = jwt.decode(
            token,
            public_key_pem,
            algorithms=[_ALGORITHM],
            audience=node,
            issuer=_ISSUER,
            options={"require": ["exp", "aud", "iss", "jti"]},
        )
        return cls(
            environment_id=claims["env"],
            node=claims["aud"],
            purpose=Purpose(claims["purpose"]),
            user=claims["user"],
            read_only=bool(claims["ro"]),
            tenant_id=claims.get("tenant"),
            expires_at=claims["exp"],
            id=claims["jti"],
        )

"""What a node was told and keeps, for a panel whose database is older than that."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from runtime.contract.base import CONTRACT_VERSION, Message, Name
from runtime.contract.environment import EnvironmentSpec, TenantEnvelope


class VolumeThere(Message):
    """A volume as it lies in the pool."""

    id: UUID
    size_mb: Annotated[int, Field(ge=1)]
    """What it is held to."""


class NodeTold(Message):
    """Every environment that a node has, by the newest spec that holds, and what goes with them."""

    version: Literal[1] = CONTRACT_VERSION
    node: Name
    specs: tuple[EnvironmentSpec, ...] = ()
    """Each with the newest generation that the node knows, and what that or, if it was given up, the one before
    says."""
    buried: dict[UUID, int] = {}
    """Environments that were deleted there lately, with the generation that did it."""
    envelopes: dict[UUID, TenantEnvelope] = {}
    """What tenants are held to there."""
    volumes: tuple[VolumeThere, ...] = ()

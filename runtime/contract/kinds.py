"""What an environment of each kind wants when nobody says more: one record per kind."""

from typing import Annotated, Final

from pydantic import Field

from runtime.contract.base import Message
from runtime.contract.environment import Kind, Limits


class Wants(Message):
    """The defaults of a kind, and what it takes from whoever creates one."""

    limits: Limits
    """Without a plan, for what isn't asked for."""
    ipv4: Annotated[int, Field(ge=0, le=16)] = 1
    ipv6: Annotated[int, Field(ge=0, le=16)] = 1
    """Addresses, where the node has a network of that family."""
    has_accounts: bool
    """It has a root account, with SSH keys or a password, and its image is one that nodes have built."""
    has_image: bool = True
    """Somebody says what it is made from."""
    boots: bool = True
    """It has a first process: with a console, addresses, devices, volumes, restart policy and rescue system."""


WANTS: Final[dict[Kind, Wants]] = {
    Kind.SYSTEM: Wants(limits=Limits(cpu=1, memory_mb=512, disk_mb=4096), has_accounts=True),
    Kind.APP: Wants(limits=Limits(cpu=1, memory_mb=256, disk_mb=2048, processes=256), has_accounts=False),
    Kind.DIRECTORY: Wants(
        limits=Limits(cpu=1, memory_mb=128, disk_mb=1024, processes=64),
        ipv4=0,
        ipv6=0,
        has_accounts=False,
        has_image=False,
        boots=False,
    ),
    Kind.JAIL: Wants(limits=Limits(cpu=1, memory_mb=256, disk_mb=2048, processes=256), has_accounts=True),
}


def wants_of(kind: Kind) -> Wants:
    """Those of a whole system for a kind that no node has yet."""
    return WANTS.get(kind, WANTS[Kind.SYSTEM])

"""What the front for tenants' domains is to do, name by name: written by the panel, read by the router."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, IPvAnyAddress, StringConstraints

from runtime.contract.base import Message, Port

#: Below HOME. Its directory is the panel's to write and the front's to read.
TABLE: Final = Path("domains/table/domains.json")
ACCESS_LOG: Final = Path("domains/log/access.log")

DomainName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+$", max_length=253)
]


class Balance(StrEnum):
    ROUND_ROBIN = "round_robin"
    STICKY = "sticky"
    """A client's address comes to the same target, as long as that is well."""


class Upstream(Message):
    """One environment behind a name; its address is the panel's own record of it."""

    address: IPvAnyAddress
    port: Port


class DomainRoute(Message):
    closed: str = ""
    """Why nothing is served, for whoever asks; empty: it is served."""
    https: bool = True
    """Who asks without TLS is led to the same address with it."""
    redirect_to: str = ""
    """Everybody is led there; ends with `/`: what was asked for is put behind it."""
    users: dict[str, str] = Field(default_factory=dict)
    """Who may look, by name, as `panel.domains.passwords` writes it; empty: everybody."""
    balance: Balance = Balance.ROUND_ROBIN
    health_path: str = ""
    upstreams: tuple[Upstream, ...] = ()
    is_held: bool = False
    """All that is behind it is being replaced and will be there again: requests wait a while for that."""


class DomainTable(Message):
    version: Literal[1] = 1
    routes: dict[DomainName, DomainRoute] = Field(default_factory=dict)

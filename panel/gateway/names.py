"""User names of the gateway: `[PERSON@]ENVIRONMENT[.TENANT]`.

The environment is its name or its id. A name is looked for among what the person may enter; where two tenants
have one of that name, the tenant's slug behind a dot says which, and without it nobody is let in.
"""

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

_LONGEST: Final = 250
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Wanted:
    """Who comes (empty: the key or the token says), and where to."""

    person: str
    environment: str
    tenant: str
    """Empty: wherever there is one of that name."""

    @property
    def id(self) -> UUID | None:
        try:
            return UUID(self.environment)
        except ValueError:
            return None


def parse(text: str) -> Wanted | None:
    """None for what names no environment."""
    if len(text) > _LONGEST:
        return None
    person, _at, place = text.rpartition("@")
    environment, _dot, tenant = place.partition(".")
    if not _NAME.fullmatch(environment) or (tenant and not _NAME.fullmatch(tenant)):
        return None
    return Wanted(person, environment, tenant)

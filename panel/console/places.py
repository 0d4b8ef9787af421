"""How many consoles may be open at once, of one person and of one tenant's environments, in this process."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings

from panel.errors import TooMany


@dataclass
class Places:
    """Taken and given back on the event loop, so that a burst of handshakes can't pass together."""

    _people: "Counter[Any]" = field(default_factory=Counter)
    _tenants: "Counter[UUID]" = field(default_factory=Counter)

    def check(self, user: Any, tenant_id: UUID) -> None:
        """Raises `TooMany` when there is no place left; takes none."""
        people, tenants = settings.WADAH.user_consoles, settings.WADAH.tenant_consoles
        if self._people[user] >= people:
            raise TooMany(
                f"You have {people} consoles open; that is the most at once.",
                code="too_many_consoles",
                next_step="Close some of them, in other windows too.",
            )
        if self._tenants[tenant_id] >= tenants:
            raise TooMany(
                f"{tenants} consoles of this tenant's environments are open; that is the most at once.",
                code="tenant_consoles",
                next_step="Close some of them, or ask others to.",
            )

    def take(self, user: Any, tenant_id: UUID) -> None:
        """One place of each, or `TooMany` and none."""
        self.check(user, tenant_id)
        self._people[user] += 1
        self._tenants[tenant_id] += 1

    def give_back(self, user: Any, tenant_id: UUID) -> None:
        for counter, key in ((self._people, user), (self._tenants, tenant_id)):
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]


PLACES = Places()

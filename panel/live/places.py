"""How many pages may listen at once: each has its rights looked at again and again, by one thread for all."""

from collections import Counter
from dataclasses import dataclass, field

from panel.serving.fair_queue import Asker


@dataclass
class PagePlaces:
    """Taken and given back on the event loop; of a person, of tenants that hang together, and of all."""

    of_person: int = 64
    of_tree: int = 256
    places: int = 2048
    _taken: "Counter[str | Asker]" = field(default_factory=Counter)
    _all: int = 0

    def take(self, asker: Asker) -> bool:
        """One place; False, and none, when the share is used up."""
        if (
            self._taken[asker] >= self.of_person
            or self._taken[asker.tree] >= self.of_tree
            or self._all >= self.places
        ):
            return False
        self._taken.update((asker, asker.tree))
        self._all += 1
        return True

    def give_back(self, asker: Asker) -> None:
        self._all -= 1
        for key in (asker, asker.tree):
            self._taken[key] -= 1
            if self._taken[key] <= 0:
                del self._taken[key]


PAGES = PagePlaces()

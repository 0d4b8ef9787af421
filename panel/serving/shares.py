"""How much one may have of what there is only so much of: commands that run, answers that are being read."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.utils.translation import gettext as _

from panel.errors import TooMany

if TYPE_CHECKING:
    from panel.rights.actor import Actor


@dataclass
class Shares:
    """Places of one kind in this process, counted by person, by tenant and by the tree of its tenants.

    Who already has many gets another only while at least as many are free, so that the last ones are left to
    those who have none: however many trees there are, each finds some.
    """

    of_person: int
    of_tenant: int
    of_tree: int
    places: int
    code: str
    _taken: "Counter[tuple[str, Hashable]]" = field(default_factory=Counter)
    _all: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, actor: "Actor", tenant_id: UUID | None, path: str) -> "Place":
        """One place, to be given back. Raises `TooMany` when it is more than the person's, the tenant's or the
        tree's share. `path`: of the tenant; empty for what belongs to the installation.

        What a person's tokens of one tenant take isn't held against those of another, which somebody else may
        have been given.
        """
        tree = path.partition("/")[0] or f"person {actor.user.pk}"
        bounds: dict[tuple[str, Hashable], int] = {
            ("person", (actor.user.pk, actor.token.tenant_id if actor.token else None)): self.of_person,
            ("tenant", tenant_id or tree): self.of_tenant,
            ("tree", tree): self.of_tree,
        }
        with self._lock:
            free = max(self.places - self._all, 0)
            for key, most in bounds.items():
                if self._taken[key] >= min(most, free):
                    raise self._too_many(key[0], self._taken[key])
            self._all += 1
            self._taken.update(bounds.keys())
        return Place(lambda: self._give_back(bounds.keys()))

    @property
    def taken(self) -> int:
        return self._all

    def _give_back(self, keys: Iterable[tuple[str, Hashable]]) -> None:
        with self._lock:
            self._all -= 1
            self._taken.subtract(keys)
            self._taken += Counter()  # without those that are at zero

    def _too_many(self, whose: str, count: int) -> TooMany:
        messages = {
            "person": _("%(count)s requests of yours wait for their answer; that is your share at once."),
            "tenant": _("%(count)s requests of this tenant wait for their answer; that is its share at once."),
            "tree": _(
                "%(count)s requests of these tenants wait for their answer; that is their share at once."
            ),
        }
        return TooMany(
            messages[whose] % {"count": count},
            code=self.code,
            next_step=_("Try again when one of them has ended."),
        )


class Place:
    """Of a share; given back once, however often it is said."""

    def __init__(self, give_back: Callable[[], Any]) -> None:
        self._give_back: Callable[[], Any] | None = give_back

    def give_back(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


#: Commands inside environments. There are two web processes: together as many as an agent runs at once.
EXECS = Shares(of_person=8, of_tenant=16, of_tree=32, places=64, code="too_many_commands")
#: Answers that are read piece by piece: records of consoles and of the audit.
#: Logs that are read as they come: each is one connection, and no thread.
FOLLOWED = Shares(of_person=4, of_tenant=16, of_tree=16, places=64, code="too_many_followed")
DOWNLOADS = Shares(of_person=4, of_tenant=8, of_tree=16, places=64, code="too_many_downloads")
#: Looks at a node for a page: short, unless the node is away.
LOOKS = Shares(of_person=8, of_tenant=16, of_tree=32, places=128, code="too_many_looks")
#: Repeated requests that wait for the first one's answer.
REPEATS = Shares(of_person=8, of_tenant=16, of_tree=32, places=128, code="too_many_repeats")

"""Whose turn it is: a queue in which nobody can stand before everybody else."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Work = TypeVar("Work")


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose account a request goes: a person, within the tenants that hang together."""

    tree: str
    """A top tenant with all below it; for strangers, and people of several trees, their own."""
    person: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one may have of a lane."""

    running_of_person: int = 1
    running_of_tree: int = 2
    waiting_of_person: int = 64
    waiting_of_tree: int = 128
    waiting: int = 512


@dataclass
class Turns(Generic[Work]):
    """Trees take turns, and within a tree its people do; each asker's own requests keep their order.

    For one thread: the caller asks `next` whenever it could start something.
    """

    bounds: Bounds = field(default_factory=Bounds)
    _waiting: "OrderedDict[str, OrderedDict[str, deque[Work]]]" = field(default_factory=OrderedDict)
    _running: "Counter[str | Asker]" = field(default_factory=Counter)
    _count: "Counter[str]" = field(default_factory=Counter)
    """Of waiting work, by tree."""

    def ask(self, asker: Asker, work: Work, *, goes_on: bool = False) -> bool:
        """Queues it. False when the asker, or everybody together, has as much waiting as may be; never for what
        `goes_on` with something that was let in before."""
        people = self._waiting.get(asker.tree)
        own = people.get(asker.person) if people else None
        if not goes_on and (
            (own is not None and len(own) >= self.bounds.waiting_of_person)
            or self._count[asker.tree] >= self.bounds.waiting_of_tree
            or self._count.total() >= self.bounds.waiting
        ):
            return False
        if people is None:
            people = self._waiting[asker.tree] = OrderedDict()
        people.setdefault(asker.person, deque()).append(work)
        self._count[asker.tree] += 1
        return True

    def next(
        self,
        *,
        is_wanted: Callable[[Work], bool] = lambda _: True,
        may_start: Callable[[str], bool] = lambda _: True,
    ) -> tuple[Asker, Work] | None:
        """Takes the next one out, and counts it as running until `done`. None: nobody may start now.

        What isn't wanted any more is thrown away on the way. Trees that may not start keep their place.
        """
        for tree in list(self._waiting):
            if not may_start(tree) or self._running[tree] >= self.bounds.running_of_tree:
                continue
            for person in list(self._waiting[tree]):
                asker = Asker(tree, person)
                if self._running[asker] >= self.bounds.running_of_person:
                    continue
                while (work := self._take(asker)) is not None:
                    if is_wanted(work):
                        self._running[tree] += 1
                        self._running[asker] += 1
                        return asker, work
        return None

    def _take(self, asker: Asker) -> Work | None:
        """The asker's oldest; who is left goes to the end of the line."""
        people = self._waiting.get(asker.tree)
        own = people.get(asker.person) if people else None
        if people is None or own is None:
            return None
        work = own.popleft()
        self._less(self._count, asker.tree)
        if own:
            people.move_to_end(asker.person)
        else:
            del people[asker.person]
        if people:
            self._waiting.move_to_end(asker.tree)
        else:
            del self._waiting[asker.tree]
        return work

    @property
    def waiting(self) -> Collection[str]:
        """Trees of which something waits."""
        return self._waiting

    def has_more(self, tree: str) -> bool:
        """Whether anything of the tree waits or runs."""
        return tree in self._waiting or tree in self._running

    def done(self, asker: Asker) -> None:
        self._less(self._running, asker.tree)
        self._less(self._running, asker)

    @staticmethod
    def _less(counter: "Counter[Any]", key: str | Asker) -> None:
        counter[key] -= 1
        if counter[key] <= 0:
            del counter[key]

"""The node's kernel at one moment, for a look at many environments: each table is read once, when it is first
asked for, however many of them are looked at."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Glance:
    """To be made anew for each round. What it shows may be older than what somebody did since: who finds by it
    that something is wrong looks again, with another one."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, Any] = {}

    def once(self, what: Hashable, look: Callable[[], T]) -> T:
        """What `look` returned when it was called for this first. Raises what that raises, and asks anew
        then."""
        if what not in self._seen:
            self._seen[what] = look()
        return cast(T, self._seen[what])

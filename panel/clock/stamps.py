"""Which rows keep times of the wall clock: each app says it of its own when it is ready."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import models


@dataclass(frozen=True)
class Wait:
    """Rows of which something waits for a time: it stays as far off as it was when the clock is set."""

    rows: Callable[[], "models.QuerySet[models.Model]"]
    names: tuple[str, ...]
    """Columns of times."""
    until: str = ""
    """When rows end that began at the first of `names`: a beginning that lies ahead becomes now, and the end
    keeps its distance. Empty: nothing of it has begun."""


#: What has happened, and something is counted from: by model, its columns.
PAST: list[tuple[type[models.Model], tuple[str, ...]]] = []
WAITS: list[Wait] = []
#: What is reckoned anew, from now.
ANEW: list[Callable[[datetime], object]] = []


def happened(model: type[models.Model], *names: str) -> None:
    """For an app's `ready()`: these columns say when something happened, so they are never to lie ahead."""
    PAST.append((model, names))


def waits(wait: Wait) -> None:
    """For an app's `ready()`: something waits for these."""
    WAITS.append(wait)


def anew(reckon: Callable[[datetime], object]) -> None:
    """For an app's `ready()`: called with the time, after the clock was set and after a start."""
    ANEW.append(reckon)

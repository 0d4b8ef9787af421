"""The panel's beat: in memory, by a clock that nobody can set.

Celery's own keeps a file with times of the wall clock, and is silent for as long as that was set back, over any
number of restarts. Here a start begins with everything once; each of the tasks does nothing when there is
nothing to do.
"""

import time
from typing import Any

from celery.beat import Scheduler


class SteadyScheduler(Scheduler):
    """For plain intervals only."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._due: dict[str, float] = {}
        super().__init__(*args, **options)

    def install_default_entries(self, data: Any) -> None:
        """None: the panel keeps no results that would have to be cleaned up."""

    def tick(self, *_: Any, **__: Any) -> float:
        """Sends one task that is due; the seconds until the next one is."""
        name = min(self.schedule, key=lambda one: self._due.setdefault(one, self.now()))
        if (wait := self._due[name] - self.now()) > 0:
            return wait
        entry: Any = self.schedule[name]
        self._due[name] = self.now() + float(entry.schedule.run_every.total_seconds())
        self.apply_entry(entry, producer=self.producer)
        return 0.0

    @staticmethod
    def now() -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

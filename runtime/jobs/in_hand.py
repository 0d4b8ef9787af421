"""Which jobs the slow worker has in hand: one message about a job is enough, and more of them are let go."""

import math
import threading
import time
from uuid import UUID

#: One that waits for its turn is seen again twice in a second; who wasn't for so long has lost its message.
LOST_S = 10.0


class InHand:
    """For the threads of one process."""

    def __init__(self, lost_s: float = LOST_S):
        self._lost_s = lost_s
        self._until: dict[UUID, float] = {}
        """By job, when it isn't in hand any more."""
        self._lock = threading.Lock()

    def take(self, job_id: UUID, *, has_waited: bool = False) -> bool:
        """Whether the caller is to do it; False: somebody does, or waits for its turn. `has_waited`: the
        caller's is the message that waits."""
        now = time.monotonic()
        with self._lock:
            until = self._until.get(job_id, 0.0)
            if until == math.inf or (until > now and not has_waited):
                return False
            self._until[job_id] = math.inf
            return True

    def waits(self, job_id: UUID) -> None:
        """It wasn't its turn: its message comes again."""
        with self._lock:
            self._until[job_id] = time.monotonic() + self._lost_s

    def ends(self, job_id: UUID) -> None:
        with self._lock:
            self._until.pop(job_id, None)

"""Whether Redis answers, as this process found last: after a failure it isn't asked again for a moment.

Everything sent to Redis is either sent again later (specs) or only makes pages fresher (events, cache), so a
request never waits for a Redis that hangs more than once in `REST_S`.
"""

import time

#: After a failure nothing is tried for so long.
REST_S = 2.0
#: A failure that took less holds nobody up: a connection that was lost or refused, not a Redis that hangs.
QUICK_S = 0.1


class Breaker:
    def __init__(self) -> None:
        self._resting_until = 0.0
        self._was_quick = False

    @property
    def rests(self) -> bool:
        return time.monotonic() < self._resting_until

    @property
    def hangs(self) -> bool:
        """Rests since the last failure took its time. What counts is sent all the same where it didn't: one
        connection of many that a restart of Redis has cut says nothing of the others."""
        return self.rests and not self._was_quick

    def failed(self, began: float) -> None:
        """`began`: when it was tried, of the monotonic clock."""
        now = time.monotonic()
        self._resting_until, self._was_quick = now + REST_S, now - began < QUICK_S

    def worked(self) -> None:
        self._resting_until = 0.0


BROKER = Breaker()

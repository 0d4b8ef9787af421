"""Whether Redis answers, as this process found last: after a failure it isn't asked again for a moment.

Everything sent to Redis is either sent again later (specs) or only makes pages fresher (events, cache), so a
request never waits for a Redis that hangs more than once in `REST_S`.
"""

import time

#: After a failure nothing is tried for so long.
REST_S = 2.0


class Breaker:
    def __init__(self) -> None:
        self._resting_until = 0.0

    @property
    def rests(self) -> bool:
        return time.monotonic() < self._resting_until

    def failed(self) -> None:
        self._resting_until = time.monotonic() + REST_S

    def worked(self) -> None:
        self._resting_until = 0.0


BROKER = Breaker()

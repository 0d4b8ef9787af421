"""Places of which there are only so many in a process, and each tenant has a share."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID


class Places:
    """Of one tenant never more than are still free: whoever has a hundred environments that take their time
    holds up nobody else's."""

    def __init__(self, places: int, of_tenant: int):
        self._places, self._of_tenant = places, of_tenant
        self._taken: Counter[UUID] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def place(self, tenant_id: UUID) -> Iterator[bool]:
        """While it lasts, one place; False when the tenant has its share already."""
        with self._lock:
            free = self._places - self._taken.total()
            is_ours = self._taken[tenant_id] < min(self._of_tenant, free)
            self._taken[tenant_id] += is_ours
        try:
            yield is_ours
        finally:
            with self._lock:
                self._taken[tenant_id] -= is_ours
                if not self._taken[tenant_id]:
                    del self._taken[tenant_id]

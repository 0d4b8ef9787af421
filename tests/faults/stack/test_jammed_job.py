"""One jammed job never holds up others: what won't shut down waits where nobody else waits."""

import time
import uuid

from tests.faults.support.stack import Stack

#: busybox's init takes SIGTERM; a shell that ignores it stands for a guest that never shuts down.
_STUBBORN = 40


def test_environments_that_will_not_stop_hold_up_nobody(whole: Stack) -> None:
    wadah = whole.wadah
    stubborn = [wadah.create(stop_timeout_s=_STUBBORN) for _ in range(6)]
    for one in stubborn:
        wadah.sh(one, "kill -STOP 1 2>/dev/null; kill -STOP $(pidof init linuxrc) 2>/dev/null; true")
        assert wadah.call("POST", f"/environments/{one}/pause", {}).status == 202
        wadah.wait_state(one, "paused")
    operations = []
    for one in stubborn:
        answer = wadah.call("POST", f"/environments/{one}/stop", {})
        assert answer.status == 202, answer.body
        operations.append(answer.body["operation"]["id"])
    began = time.monotonic()
    made = wadah.create(f"quick-{uuid.uuid4().hex[:6]}")
    assert time.monotonic() - began < 20
    for one in operations:
        wadah.wait(lambda one=one: wadah.call("GET", f"/operations/{one}").body["state"] == "running", 10)  # type: ignore[misc]
    wadah.delete(made)
    for one in stubborn:
        wadah.delete(one)

"""The client of the benchmark: one kept connection for the API, one WebSocket for events.

A program that manages environments keeps its connection, so that is what is timed, not a new process and a
new connection for each request.
"""

import http.client
import json
import time
import uuid
from collections.abc import Callable
from functools import cached_property
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.e2e.support import Answer, Installation

TENANT = "bench"
DEADLINE_S = 60.0
#: The front hangs up on a connection that does nothing for a minute; one that rested so long is made anew.
IDLE_S = 30.0


class Client:
    def __init__(self, installation: Installation):
        self.installation = installation
        self.made: set[str] = set()
        """Environments that this client made and hasn't deleted."""
        self._host = installation.url.partition("://")[2]
        self._http = http.client.HTTPConnection(self._host, timeout=DEADLINE_S)
        self._used_at = time.monotonic()
        self._headers = {"Authorization": f"Bearer {installation.token}", "Content-Type": "application/json"}
        self.call("POST", "/tenants", {"name": "Bench", "slug": TENANT})

    @cached_property
    def events(self) -> ClientConnection:
        return self.socket("/ws/events")

    def rest(self) -> None:
        """Hears no events for a while: what isn't read in time gets the connection closed."""
        if "events" in self.__dict__:
            self.events.close()
            del self.events

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """One request. After one that failed, or a rest, the next has a connection of its own."""
        data = None if body is None else json.dumps(body)
        if time.monotonic() - self._used_at > IDLE_S:
            self._http.close()
        try:
            self._http.request(method, f"/api/v1{path}", data, self._headers)
            answer = self._http.getresponse()
            text = answer.read()
        except BaseException:
            self._http.close()
            raise
        self._used_at = time.monotonic()
        return Answer(answer.status, json.loads(text) if text else None, dict(answer.headers))

    def socket(self, path: str) -> ClientConnection:
        headers = {"Authorization": f"Bearer {self.installation.token}"}
        return connect(
            f"ws://{self._host}{path}",
            legacy=True,
            additional_headers=headers,
            compression=None,
            max_size=None,
            max_queue=None,  # a full one is not read, and answers to pings wait behind it
        )

    def close(self) -> None:
        self.rest()
        self._http.close()

    # environments ----------------------------------------------------------------------------

    def post_environment(self, image: str = "busybox", **fields: Any) -> dict[str, Any]:
        _ = self.events  # from before the change
        values = {
            "name": f"b-{uuid.uuid4().hex[:12]}",
            "image": image,
            "tenant": TENANT,
            "limits": {"cpu": 1, "memory_mb": 64, "disk_mb": 128},
            "stop_timeout_s": 3,
            "ssh_keys": [KEY],
        }
        answer = self.call("POST", "/environments", {**values, **fields})
        assert answer.status == 202, answer.body["detail"]
        self.made.add(answer.body["id"])
        return dict(answer.body)

    def until(self, environment: str, state: str) -> None:
        """Waits for the event that browsers get when the panel has written that state down."""
        self.until_all({environment}, state)

    def until_all(self, environments: set[str], state: str) -> None:
        left = set(environments)
        until = time.monotonic() + DEADLINE_S
        while left:
            event = json.loads(self.events.recv(timeout=until - time.monotonic()))
            if event.get("kind") != "environment" or event["id"] not in left:
                continue
            seen = event.get("state")
            if seen == "failed" != state:
                raise AssertionError(self.call("GET", f"/environments/{event['id']}").body["message"])
            if seen == state:
                left.discard(event["id"])

    def create(self, image: str = "busybox", **fields: Any) -> str:
        made = self.post_environment(image, **fields)["id"]
        self.until(made, "running")
        return str(made)

    def start(self, environment: str) -> None:
        answer = self.call("POST", f"/environments/{environment}/start")
        assert answer.status == 202, answer.body["detail"]
        self.until(environment, "running")

    def delete(self, *environments: str) -> None:
        """Returns when nothing of them is left."""
        _ = self.events
        for one in environments:
            self.call("DELETE", f"/environments/{one}")
        self.until_all(set(environments), "deleted")
        self.made -= set(environments)

    def sh(self, environment: str, script: str) -> str:
        answer = self.call("POST", f"/environments/{environment}/exec", {"command": ["/bin/sh", "-c", script]})
        assert answer.status == 200, answer.body
        return str(answer.body["stdout"]).strip()

    def text(self, method: str, path: str) -> str:
        """What is answered, as it is."""
        self._http.request(method, f"/api/v1{path}", None, self._headers)
        return self._http.getresponse().read().decode(errors="replace")

    def wait(self, look: Callable[[], Any], every_s: float = 0.1, within_s: float = DEADLINE_S) -> Any:
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            if seen := look():
                return seen
            time.sleep(every_s)
        raise AssertionError(f"not so within {within_s:g} s")


#: A public key whose private half nobody kept; with one the panel makes no password.
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEVGtcjpm7JpkmpEDzEpMCcYyBGnXMFNXfMbqXgvKAZX bench"

"""What happened on a node shows in the browser, with its cause: by an event, soon, without anybody asking."""

from contextlib import suppress
from typing import Any
from uuid import uuid4

from runtime.node import Node
from tests.faults.support.sockets import Events
from tests.faults.support.stack import Stack


def _hears_of(events: Events, environment: str, look: Any, seconds: float = 60) -> Any:
    """Waits for events of that environment until what a page would fetch then is as `look` wants it."""
    seen: list[Any] = []

    def wanted(event: dict[str, Any]) -> bool:
        if event["kind"] == "environment" and event["id"] == environment:
            seen[:] = [look()]
        return bool(seen and seen[0])

    events.until(wanted, seconds)
    return seen[0]


def test_a_killed_init_shows_with_what_happened(whole: Stack, environment: str) -> None:
    wadah = whole.wadah
    with whole.events() as events:
        events.until(lambda event: event["kind"] == "hello")
        whole.kill_init(environment)
        _hears_of(events, environment, lambda: wadah.get(environment)["restarts"] == 1)
    wadah.wait_state(environment, "running")


def test_a_killed_init_that_may_not_start_again_names_its_end(whole: Stack, environment: str) -> None:
    wadah = whole.wadah
    wadah.call("PATCH", f"/environments/{environment}", {"restart": {"mode": "never"}})
    wadah.wait_state(environment, "running")
    with whole.events() as events:
        events.until(lambda event: event["kind"] == "hello")
        whole.kill_init(environment)
        row = _hears_of(
            events, environment, lambda: (row := wadah.get(environment))["state"] == "stopped" and row
        )
    assert row["code"] == "init_crashed"
    assert "killed by signal 9" in row["message"]
    assert row["next_step"]


def test_a_killed_agent_is_back_and_hears_of_what_it_missed(whole: Stack, environment: str) -> None:
    """Init dies while there is no agent that could notice."""
    wadah = whole.wadah
    with whole.events() as events:
        events.until(lambda event: event["kind"] == "hello")
        with whole.held_down("agent"):
            answer = wadah.call("POST", f"/environments/{environment}/exec", {"command": ["true"]})
            assert answer.status == 503
            assert answer.headers["Retry-After"]
            whole.kill_init(environment)
        _hears_of(events, environment, lambda: wadah.get(environment)["restarts"] == 1)
    wadah.wait_state(environment, "running")
    assert wadah.sh(environment, "echo here") == "here"


def test_what_leaks_is_found_and_named(whole: Stack) -> None:
    """A directory with the mark of an environment that nobody knows, as a crash of ours might leave."""
    wadah = whole.wadah
    node = wadah.call("GET", "/nodes").body["items"][0]["id"]
    owner = uuid4()  # the node's note of when it first saw a leak speaks of no earlier one
    stray = Node.load(wadah.home).oci_root / owner.hex
    stray.mkdir()
    try:
        assert wadah.call("POST", f"/nodes/{node}/survey", {}).status == 202

        def found() -> Any:
            leaks = wadah.call("GET", f"/nodes/{node}/leaks").body["leaks"]
            return [one for one in leaks if stray.name in one["what"]]

        leak = wadah.wait(found, 45)[0]
        assert leak["environment_id"] == str(owner)
        # before the page, whose turn may take long: a minute after it was first seen the node takes it away
        said = wadah.wadah("node", "leaks", check=False)
        assert said.returncode == 1
        assert stray.name in said.stdout
        wadah.wait(
            lambda: stray.name in whole.page("/nodes/leaks/").body, 30, lambda: str(whole.page("/nodes/leaks/"))
        )
    finally:
        with suppress(FileNotFoundError):
            stray.rmdir()
    wadah.call("POST", f"/nodes/{node}/survey", {})
    wadah.wait(lambda: not wadah.call("GET", f"/nodes/{node}/leaks").body["leaks"], 45)

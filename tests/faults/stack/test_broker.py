"""Redis hangs, dies, forgets: requests are answered fast, and what was asked for is done once."""

import shutil
import time
import uuid
from typing import Any

import pytest

from tests.faults.support.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")


def _ask(whole: Stack, count: int) -> list[str]:
    """Ids of new environments; each request is answered with 202 whatever the queue does."""
    found = []
    for _ in range(count):
        body = {
            "name": f"b-{uuid.uuid4().hex[:10]}",
            "image": "busybox",
            "tenant": "demo",
            "limits": {"cpu": 1, "memory_mb": 64, "disk_mb": 64},
            "stop_timeout_s": 1,
        }
        answer = whole.wadah.call("POST", "/environments", body)
        assert answer.status == 202, answer.body
        found.append(answer.body["id"])
    return found


def _all_run(whole: Stack, made: list[str]) -> None:
    """Each runs, made once: one create operation, succeeded."""
    for one in made:
        whole.wadah.wait_state(one, "running", 40)
        operations = whole.wadah.call("GET", f"/operations?environment={one}").body["items"]
        assert [(row["kind"], row["state"]) for row in operations] == [("create", "succeeded")]


def _delete(whole: Stack, made: list[str]) -> None:
    for one in made:
        assert whole.wadah.call("DELETE", f"/environments/{one}").status == 202
    for one in made:
        whole.wadah.wait_gone(one)


def test_a_redis_that_hangs_holds_up_no_request(whole: Stack) -> None:
    with whole.frozen("redis"):
        began = time.monotonic()
        made = _ask(whole, 5)
        took = time.monotonic() - began
        ready = whole.outside("/readyz")
        page = whole.page("/environments/")
    # the first one finds out within a second or two, for each of the two processes that answer
    assert took < 15, took
    assert ready.status == 503
    assert page.status == 200
    assert "message queue" in page.body
    _all_run(whole, made)
    _delete(whole, made)


def test_work_asked_for_while_redis_is_down_is_done_once_it_is_back(whole: Stack) -> None:
    with whole.held_down("redis"):
        made = _ask(whole, 5)
        time.sleep(1)
        assert {whole.wadah.get(one)["state"] for one in made} == {"provisioning"}
    _all_run(whole, made)
    _delete(whole, made)


def test_a_redis_that_loses_its_disk_loses_no_work(whole: Stack) -> None:
    made = _ask(whole, 8)
    with whole.held_down("redis"):
        made += _ask(whole, 2)
        for entry in (whole.wadah.home / "redis").iterdir():
            if entry.name != "redis.conf":
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    _all_run(whole, made)
    for one in made:
        assert whole.wadah.call("DELETE", f"/environments/{one}").status == 202
        whole.broker.flushall()
    for one in made:
        whole.wadah.wait_gone(one, 40)


def test_a_terminal_goes_on_without_redis(whole: Stack, environment: str) -> None:
    with whole.terminal(environment) as terminal:
        terminal.type("echo before-$((1+1))\n")
        terminal.until(b"before-2")
        with whole.held_down("redis"):
            time.sleep(3)
            terminal.type("echo during-$((2+2))\n")
            terminal.until(b"during-4")
        terminal.type("echo after-$((3+3))\n")
        terminal.until(b"after-6")


def test_events_come_again_after_redis_was_restarted(whole: Stack, environment: str) -> None:
    with whole.events() as events:
        events.until(lambda event: event["kind"] == "hello")
        whole.wait_back("redis", whole.kill("redis"))

        def heard(event: dict[str, Any]) -> bool:
            return event["kind"] == "environment" and event["id"] == environment

        def ask_and_hear() -> bool:
            whole.wadah.call("POST", f"/environments/{environment}/restart", {})
            return events.heard(heard, 3)

        whole.wadah.wait(ask_and_hear, 30)
    whole.wadah.wait_state(environment, "running")

"""Redis hangs, dies, forgets: requests are answered fast, and what was asked for is done once."""

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from runtime.host import libc
from tests.faults.support.stack import Stack
from tests.support.disks import full_disk


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

        def is_done(one: str = one) -> bool:
            found = whole.wadah.call("GET", f"/operations?environment={one}").body["items"]
            kinds = [row["kind"] for row in found]
            assert kinds == ["create"], found
            return bool(found[0]["state"] == "succeeded")

        whole.wadah.wait(is_done, 40, lambda one=one: f"create of {one} doesn't end")  # type: ignore[misc]


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


@contextmanager
def _small_disk(whole: Stack) -> Iterator[Path]:
    """Redis keeps its log on a disk of 16 MB of its own, which the test may fill."""
    directory = whole.wadah.home / "redis"
    owner = directory.stat()
    with whole.held_down("redis"):
        libc.mount("tmpfs", str(directory), "tmpfs", 0, "size=16m")
        os.chown(directory, owner.st_uid, owner.st_gid)
    try:
        yield directory
    finally:
        with whole.held_down("redis"):
            libc.umount(str(directory), libc.MNT_DETACH)


def _can_write(whole: Stack) -> bool:
    """Whether Redis takes a message; its own log of changes is written once a second."""
    try:
        whole.broker.set("test", "x" * 4096, ex=1)
    except redis.RedisError:
        return False
    return True


@pytest.mark.parametrize("also_killed", [False, True], ids=["it lives", "it is killed"])
def test_x11_a_full_disk_under_redis(whole: Stack, environment: str, also_killed: bool) -> None:
    """What is asked for is kept and done when there is room, without hands; what runs goes on."""
    before = whole.wadah.get(environment)["started_at"]
    with _small_disk(whole) as directory:
        with full_disk(directory):
            whole.wadah.wait(lambda: not _can_write(whole), 30)
            if also_killed:
                whole.kill("redis")
            made = _ask(whole, 4)
            ready, page = whole.outside("/readyz"), whole.page("/environments/")
            assert ready.status == 503
            assert page.status == 200
            assert "message queue" in page.body
            assert whole.wadah.get(environment)["state"] == "running"
            assert whole.wadah.sh(environment, "echo here") == "here"
            whole.kill_init(environment)  # crashes are mended by the node alone
            whole.wadah.wait(lambda: whole.kernel()["environments"][environment]["state"] == "running", 30)
            time.sleep(5)  # as long as the workers may try in vain before they are started again
            assert {whole.wadah.get(one)["state"] for one in made} == {"provisioning"}
        whole.wadah.wait(lambda: _can_write(whole), 30)
        _all_run(whole, made)
        whole.wadah.wait(lambda: whole.wadah.get(environment)["started_at"] != before, 30)
        whole.wadah.wait(lambda: whole.outside("/readyz").status == 200, 30)
    _delete(whole, made)


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

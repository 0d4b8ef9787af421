"""SQLite is held locked, or its disk is full: nothing is lost, the panel says so, and all heals (X11)."""

import sqlite3
import threading
import time
import urllib.error
import urllib.request

from tests.faults.support.stack import Stack
from tests.support.disks import full_disk


def test_a_sqlite_that_somebody_holds_locked_loses_nothing(whole: Stack, environment: str) -> None:
    """As a backup or a person with a shell may do: writers wait, readers don't notice."""
    wadah = whole.wadah
    file = wadah.home / "panel" / "db.sqlite3"
    locked, done = threading.Event(), threading.Event()
    said: list[tuple[int, str]] = []

    def hold() -> None:
        connection = sqlite3.connect(file, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        locked.set()
        done.wait(60)
        connection.execute("ROLLBACK")
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert locked.wait(30)
        assert wadah.call("GET", "/environments").status == 200
        began = time.monotonic()
        asked = [threading.Thread(target=_change, args=(whole, environment, said)) for _ in range(8)]
        for one in asked:
            one.start()
        time.sleep(0.5)
        with urllib.request.urlopen(f"{wadah.url}/healthz", timeout=10) as health:
            assert health.status == 200
        for one in asked:
            one.join()
        assert said == [(503, "database_away")] * 8
        assert time.monotonic() - began < 20  # each alone would have waited as long as all of them now
        assert "locked" in _readiness(wadah.url)
        assert wadah.call("GET", f"/environments/{environment}").status == 200
        whole.kill_init(environment)
        time.sleep(3)
    finally:
        done.set()
        holder.join()
    wadah.wait(lambda: wadah.get(environment)["restarts"] == 1, 30)
    wadah.wait_state(environment, "running")


def _change(whole: Stack, environment: str, said: list[tuple[int, str]]) -> None:
    answer = whole.wadah.call("PATCH", f"/environments/{environment}", {"description": "while locked"})
    said.append((answer.status, answer.body["code"]))


def _readiness(url: str) -> str:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:
            return str(answer.read())
    except urllib.error.HTTPError as refused:
        return str(refused.read())


def test_a_full_disk_under_the_database(whole: Stack, environment: str) -> None:
    wadah = whole.wadah
    assert whole.page("/environments/").status == 200, "to sign in takes a row"
    with full_disk(wadah.home / "panel"):
        asked = {"image": "busybox", "tenant": "demo", "limits": {"cpu": 1, "memory_mb": 64, "disk_mb": 64}}

        def refused() -> bool:
            """Pages of the log that are there already take a few rows more."""
            answer = wadah.call("POST", "/environments", {**asked, "name": f"n-{time.monotonic_ns()}"})
            if answer.status == 202:
                return False
            assert (answer.status, answer.body["code"]) == (503, "database_full"), answer.body
            assert "no room" in answer.body["detail"]
            assert answer.body["next_step"]
            assert answer.headers["Retry-After"]
            return True

        wadah.wait(refused, 60)
        # what is read is read, what runs goes on, and an end of init is mended without the panel
        assert wadah.call("GET", "/environments").status == 200
        assert whole.page("/environments/").status == 200
        before = whole.kernel()["environments"][environment]["pid"]
        whole.kill_init(environment)
        wadah.wait(lambda: whole.kernel()["environments"][environment]["pid"] not in (None, before), 60)
    wadah.wait(lambda: wadah.get(environment)["restarts"] == 1, 60)
    wadah.delete(wadah.create())
    for row in whole.environments():
        if row["name"].startswith("n-"):
            wadah.delete(row["id"])

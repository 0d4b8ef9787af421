"""The database is away: environments and terminals go on, the panel says so, no report is lost (X07)."""

import time
from collections.abc import Iterator

import pytest

from tests.e2e.support import Installation, installation, ready
from tests.faults.support.database import Database
from tests.faults.support.invariants import check_invariants
from tests.faults.support.stack import Stack, stack
from tests.support.postgres import postgresql


@pytest.fixture(scope="module")
def on_postgresql() -> Iterator[tuple[Stack, Database]]:
    """An installation of its own on a PostgreSQL of its own."""
    with pytest.MonkeyPatch.context() as patch, postgresql() as url:
        patch.setenv("DATABASE_URL", url)
        patch.delenv("WADAH_TEST_HOME", raising=False)
        with installation("--no-demo", "--images", "busybox") as made, stack(made) as whole:
            ready(made)
            yield whole, Database(url)
            check_invariants(whole)


def _create(wadah: Installation) -> str:
    return wadah.create(stop_timeout_s=1)


def test_a_database_that_was_killed(on_postgresql: tuple[Stack, Database]) -> None:
    whole, database = on_postgresql
    wadah = whole.wadah
    made = _create(wadah)
    assert whole.page("/environments/").status == 200
    with whole.terminal(made) as terminal:
        terminal.type("echo before-$((1+1))\n")
        terminal.until(b"before-2")
        with database.down():
            answer = wadah.call("POST", f"/environments/{made}/stop", {})
            assert answer.status == 503, answer.body
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.headers["Retry-After"]
            assert answer.body["code"] == "database_away"
            page = whole.page("/environments/")
            assert page.status == 503
            assert "can't be reached" in page.body or "can&#x27;t be reached" in page.body
            assert whole.outside("/readyz").status == 503
            assert whole.outside("/healthz").status == 200
            time.sleep(4)  # rights are looked at every second and a half: the terminal stays for all that
            terminal.type("echo during-$((2+2))\n")
            terminal.until(b"during-4")
            assert terminal.connects == 1
            whole.kill_init(made)
            time.sleep(1)
    wadah.wait(lambda: wadah.call("GET", f"/environments/{made}").status == 200, 30)
    # what the node said meanwhile waited in its queue
    wadah.wait(lambda: wadah.get(made)["restarts"] == 1, 30)
    wadah.wait_state(made, "running")
    assert [row["kind"] for row in wadah.call("GET", f"/operations?environment={made}").body["items"]] == [
        "create"
    ]
    wadah.delete(made)


def test_a_database_that_goes_while_operations_run(on_postgresql: tuple[Stack, Database]) -> None:
    whole, database = on_postgresql
    wadah = whole.wadah
    made = [_create(wadah) for _ in range(3)]
    asked = [wadah.call("POST", f"/environments/{one}/restart", {}) for one in made]
    with database.down():
        time.sleep(2)
    assert [answer.status for answer in asked] == [202, 202, 202]
    for one, answer in zip(made, asked, strict=True):
        wadah.wait_state(one, "running", 40)
        operation = answer.body["operation"]["id"]
        wadah.wait(lambda pk=operation: wadah.call("GET", f"/operations/{pk}").body["state"] == "succeeded", 20)  # type: ignore[misc]
    check_invariants(whole)
    for one in made:
        wadah.delete(one)

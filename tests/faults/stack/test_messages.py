"""Messages lost, doubled, late, out of order or poisonous: the outcome is that of each one once (X05, X18)."""

import json
import pickle
import time
from typing import Any

import pytest
import redis

from tests.faults.support.queues import Queue, body, recorded
from tests.faults.support.stack import Stack


@pytest.fixture
def to_node(whole: Stack) -> Queue:
    return Queue(whole.broker, f"node.{whole.node_name}")


@pytest.fixture
def to_panel(whole: Stack) -> Queue:
    return Queue(whole.broker, "reports")


def _everything(whole: Stack, environment: str) -> Any:
    """What must not change: of the row and of the kernel."""
    row = whole.wadah.get(environment)
    there = whole.kernel()["environments"][environment]
    fields = ("state", "generation", "observed_generation", "limits", "started_at", "restarts", "addresses")
    return {**{field: row[field] for field in fields}, "pid": there["pid"], "applied": there["applied"]}


def test_lost_messages_to_the_node_are_sent_again(whole: Stack, environment: str, to_node: Queue) -> None:
    with whole.held_down("node-worker"):
        whole.wadah.call("POST", f"/environments/{environment}/restart", {})
        whole.wadah.wait(to_node.drop, 10)
    whole.wadah.wait_state(environment, "running")


def test_lost_reports_are_asked_for_again(whole: Stack, environment: str, to_panel: Queue) -> None:
    with whole.held_down("panel-worker"):
        whole.wadah.call("POST", f"/environments/{environment}/pause", {})
        whole.wadah.wait(lambda: "panel.observe" in to_panel.tasks(), 60)
        time.sleep(0.5)
        to_panel.drop()
    whole.wadah.wait_state(environment, "paused")


def test_a_lost_report_of_a_crash_is_noticed_by_the_use_reports(
    whole: Stack, environment: str, to_panel: Queue
) -> None:
    """Nothing is behind here, so nothing is sent again: only what the kernel shows tells of it."""
    whole.wadah.call("PATCH", f"/environments/{environment}", {"restart": {"mode": "never"}})
    whole.wadah.wait_state(environment, "running")
    with whole.held_down("panel-worker"):
        whole.kill_init(environment)
        whole.wadah.wait(lambda: "panel.observe" in to_panel.tasks(), 60)
        to_panel.drop()
    seen = whole.wadah.wait(lambda: (row := whole.wadah.get(environment))["state"] != "running" and row, 120)
    assert seen["code"] == "init_crashed"
    assert "killed by signal 9" in seen["message"]


def test_messages_doubled_and_out_of_order_change_nothing(
    whole: Stack, environment: str, to_node: Queue, to_panel: Queue
) -> None:
    """Every message of a few changes is recorded; all are given out again three times, shuffled."""
    changes: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("PATCH", "", {"limits": {"memory_mb": 96}}),
        ("POST", "/stop", {"timeout_s": 0}),
        ("POST", "/start", {}),
        ("POST", "/reinstall", {}),
        ("PATCH", "", {"limits": {"memory_mb": 80, "disk_mb": 160}}),
    )
    with recorded(whole.broker) as messages:
        for method, verb, values in changes:
            assert whole.wadah.call(method, f"/environments/{environment}{verb}", values).status == 202
            whole.wadah.wait(lambda: _is_through(whole, environment), 20)
    specs, reports = messages[to_node.name], _about_environments(messages["reports"])
    assert len(specs) >= len(changes)
    assert len(reports) >= len(changes)
    before = _everything(whole, environment)
    assert before["limits"]["memory_mb"] == 80
    _give_out_again(whole, (to_node, specs), (to_panel, reports))
    assert _everything(whole, environment) == before


def _about_environments(messages: list[bytes]) -> list[bytes]:
    return [one for one in messages if json.loads(one)["headers"]["task"] == "panel.observe"]


def _give_out_again(whole: Stack, *lists: tuple[Queue, list[bytes]]) -> None:
    for seed, (queue, messages) in enumerate(lists):
        queue.put_again(messages, seed)
    whole.wadah.wait(lambda: not any(queue.raw() for queue, _ in lists), 30)
    time.sleep(1)  # the last ones are being worked on


def _is_through(whole: Stack, environment: str) -> bool:
    row = whole.wadah.get(environment)
    return bool(row["observed_generation"] == row["generation"])


def test_late_messages_revive_nothing(whole: Stack, to_node: Queue, to_panel: Queue) -> None:
    """What was said of an environment before its end comes after it."""
    with recorded(whole.broker) as messages:
        made = whole.wadah.create()
        whole.wadah.call("POST", f"/environments/{made}/restart", {})
        whole.wadah.wait_state(made, "running")
    whole.wadah.delete(made)
    reports = _about_environments(messages["reports"])
    assert reports
    _give_out_again(whole, (to_node, messages[to_node.name]), (to_panel, reports))
    assert whole.wadah.call("GET", f"/environments/{made}").status == 404
    assert made not in whole.kernel()["environments"]


class _Owned:
    """Would leave a file behind where it is unpickled."""

    def __init__(self, path: str):
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (self.path, "w"))


def test_poison_is_refused_and_the_workers_live(
    whole: Stack, environment: str, to_node: Queue, to_panel: Queue
) -> None:
    before = _everything(whole, environment)
    workers = {role: whole.pid(role) for role in ("node-worker", "node-slow", "panel-worker")}
    mark = whole.wadah.home / "run" / "owned"
    slow = Queue(whole.broker, f"{to_node.name}.slow")
    for queue in (to_node, slow, to_panel):
        name = "panel.observe" if queue is to_panel else "runtime.apply"
        owned = pickle.dumps(([_Owned(str(mark))], {}, {}))
        queue.put(owned, task=name, content_type="application/x-python-serialize")
        queue.put(pickle.dumps(_Owned(str(mark))), task=name, content_type="application/data")
        queue.put(body(), task="no.such.task")
        queue.put(body("x"), task="../../etc/passwd\n")
        queue.put(body({}), task=["runtime.apply"])
        queue.put(body({}), task=name)
        queue.put(body("text"), task=name)
        queue.put(body(None, 3, []), task=name)
        queue.put(json.dumps({"no": "list"}).encode(), task=name)
        queue.put(b"{not json", task=name)
        queue.put(body({"id": environment, "generation": 10**30, "desired": "deleted"}), task=name)
        queue.put(body([], [[]]), task="celery.starmap")
        queue.put(body("shutdown"), task="celery.backend_cleanup")
        queue.put(body({}), task=name, headers={"lang": 1, "retries": "x", "eta": "never", "expires": "soon"})
        queue.put_text(b"\xff\xfe not even a message")
        queue.put_text(b"[]")
    to_node.put(body({"id": "x" * 10_000_000}))
    with pytest.raises(redis.exceptions.ConnectionError):  # the server itself takes none of over 16 MiB
        to_node.put(body({"id": "x" * 50_000_000}))
    for queue in (to_node, slow, to_panel):
        whole.wadah.wait(lambda queue=queue: not queue.raw(), 60)  # type: ignore[misc]
    made = whole.wadah.create()
    whole.wadah.delete(made)
    assert not mark.exists()
    assert {role: whole.pid(role) for role in workers} == workers
    assert _everything(whole, environment) == before


def test_f22_no_message_sends_the_panel_to_another_node(whole: Stack, to_panel: Queue) -> None:
    """Celery lets a message name others to be sent when it is done. The panel may write to every queue, a node
    to the panel's alone: what it can't send itself, it must not have sent for it."""
    elsewhere = Queue(whole.broker, "node.elsewhere")
    follow_up = {
        "task": "runtime.apply",
        "args": [{}],
        "kwargs": {},
        "options": {"queue": elsewhere.name},
        "subtask_type": None,
        "immutable": True,
    }
    for key in ("callbacks", "chain"):
        to_panel.put(json.dumps([[], {}, {key: [follow_up]}]).encode(), task="panel.quota_peaks")
    failing = json.dumps([[1, 2, 3], {}, {"errbacks": [follow_up]}]).encode()
    to_panel.put(failing, task="panel.quota_peaks")
    to_panel.put(
        json.dumps([[[follow_up], ["id", [["one", None]]], "id", []], {}, {}]).encode(), task="celery.group"
    )
    whole.wadah.wait(lambda: not to_panel.raw(), 60)
    made = whole.wadah.create()
    whole.wadah.delete(made)
    assert elsewhere.raw() == []

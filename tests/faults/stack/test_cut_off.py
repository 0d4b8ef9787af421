"""A node that nobody hears of for a while (X08), and a cancel of work that hangs on it (X19).

CUT_OFF_S=300 pytest tests/faults/stack/test_cut_off.py
"""

import os
import time
from contextlib import ExitStack

from tests.faults.support.stack import Stack

#: How long the node is cut off; 45 s and more is shown to people as silence.
CUT_OFF_S = float(os.environ.get("CUT_OFF_S", "6"))
NEW = {"image": "busybox", "tenant": "demo", "limits": {"cpu": 1, "memory_mb": 64, "disk_mb": 64}}
NODE = ("node-worker", "node-slow", "agent")


def test_a_node_that_was_cut_off_does_what_was_asked_for_once(whole: Stack, environment: str) -> None:
    """Its three processes stand still, as if no packet came through; what runs on it runs on."""
    wadah = whole.wadah
    before = whole.kernel()["environments"][environment]["pid"]
    with ExitStack() as cut:
        for role in NODE:
            cut.enter_context(whole.frozen(role))
        restarted = wadah.call("POST", f"/environments/{environment}/restart", {})
        made = wadah.call("POST", "/environments", {**NEW, "name": "meanwhile", "stop_timeout_s": 1})
        assert (restarted.status, made.status) == (202, 202)
        time.sleep(CUT_OFF_S)
        assert os.path.exists(f"/proc/{before}"), "what runs is not touched"
        row = wadah.get(environment)
        assert row["observed_generation"] < row["generation"]
    for answer in (restarted, made):
        pk = answer.body["operation"]["id"]
        wadah.wait(lambda pk=pk: wadah.call("GET", f"/operations/{pk}").body["state"] == "succeeded", 60)  # type: ignore[misc]
    wadah.wait_state(environment, "running")
    pid = whole.kernel()["environments"][environment]["pid"]
    assert pid not in (None, before)
    time.sleep(3)  # messages that were sent again meanwhile have come by now
    assert whole.kernel()["environments"][environment]["pid"] == pid, "it was restarted twice"
    wadah.delete(made.body["id"])


def test_cancelling_a_create_that_hangs_ends_the_work_on_the_node(whole: Stack) -> None:
    wadah = whole.wadah
    faults = wadah.home / "node" / "faults"
    faults.write_text("ensure before hang root volume\n")
    try:
        made = wadah.call("POST", "/environments", {**NEW, "name": "hangs"})
        assert made.status == 202, made.body
        wadah.wait(lambda: not faults.read_text(), 30, lambda: "it never came to the step")
        operation = made.body["operation"]["id"]
        cancelled = wadah.call("POST", f"/operations/{operation}/cancel", {})
        assert cancelled.status in (200, 202), cancelled.body
        wadah.wait_gone(made.body["id"], 60)
    finally:
        faults.unlink(missing_ok=True)
    shown = wadah.call("GET", f"/operations/{operation}").body
    assert shown["state"] == "cancelled"
    assert "Nothing of it is left." in shown["message"]

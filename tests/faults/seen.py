"""How soon what happens on a node shows: from the event itself until a page that is open would show it."""

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.host.oci import monitor_pid
from runtime.node import Node
from tests.faults.support.sockets import Events
from tests.faults.support.stack import Stack

TIMES = 10
PATIENCE_S = 30.0
#: What a page fetches when it hears of a change, and from which it shows what happened.
Look = Callable[[dict[str, Any]], bool]


def measure(whole: Stack) -> dict[str, dict[str, float]]:
    """Median and worst, in seconds, of ten times each."""
    namespace = Path("/run/netns") / _namespace(whole)
    found = {}
    for name, once in {
        "kill -9 of init": _init,
        "kill -9 of conmon": _monitor,
        "kill -9 of the agent, and of an init meanwhile": _agent,
        "ip link del": lambda whole, pk, events: _link(whole, pk, events, namespace),
        "out of memory": _out_of_memory,
    }.items():
        times = sorted(_times(whole, once))
        found[name] = {"median": round(statistics.median(times), 2), "max": round(times[-1], 2)}
    return found


def _times(whole: Stack, once: Callable[[Stack, str, Events], float]) -> list[float]:
    """Each on an environment of its own: a third crash in a row would wait for its restart."""
    times = []
    for _ in range(TIMES):
        pk = whole.wadah.create(stop_timeout_s=0)
        time.sleep(1)  # its birth is told by then
        with whole.events() as events:
            events.until(lambda event: event["kind"] == "hello")
            times.append(once(whole, pk, events))
        whole.wadah.delete(pk)
    return times


def _shown(whole: Stack, pk: str, events: Events, shows: Look) -> float:
    """When the page that heard of the change would show it."""

    def heard(event: dict[str, Any]) -> bool:
        return event["kind"] == "environment" and event["id"] == pk and shows(whole.wadah.get(pk))

    events.until(heard, PATIENCE_S)
    return time.monotonic()


def _init(whole: Stack, pk: str, events: Events) -> float:
    began = time.monotonic()
    whole.kill_init(pk)
    return _shown(whole, pk, events, lambda row: row["restarts"] == 1) - began


def _monitor(whole: Stack, pk: str, events: Events) -> float:
    node = Node.load(whole.wadah.home)
    pid = monitor_pid(node, whole.uuid(pk))
    assert pid is not None
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    return _shown(whole, pk, events, lambda row: row["code"] == "console_lost") - began


def _agent(whole: Stack, pk: str, events: Events) -> float:
    pid = whole.kernel()["environments"][pk]["pid"]
    began = time.monotonic()
    whole.kill("agent")
    os.kill(pid, signal.SIGKILL)
    return _shown(whole, pk, events, lambda row: row["restarts"] == 1) - began


def _link(whole: Stack, pk: str, events: Events, namespace: Path) -> float:
    name = Node.load(whole.wadah.home).link_name(whole.uuid(pk))
    command = ["nsenter", f"--net={namespace}", "ip", "link", "del", name]
    began = time.monotonic()
    subprocess.run(command, check=True, timeout=20)
    return _shown(whole, pk, events, lambda row: _tells(whole, pk, "network link is gone")) - began


def _out_of_memory(whole: Stack, pk: str, events: Events) -> float:
    script = "dd if=/dev/zero of=/dev/null bs=200M count=1"
    began = time.monotonic()
    whole.wadah.call("POST", f"/environments/{pk}/exec", {"command": ["/bin/sh", "-c", script]})
    return _shown(whole, pk, events, lambda row: _tells(whole, pk, "killed dd")) - began


def _tells(whole: Stack, pk: str, words: str) -> bool:
    answer = whole.wadah.call("GET", f"/audit?environment={pk}&limit=20")
    return words in str(answer.body)


def _namespace(whole: Stack) -> str:
    """Name of the network namespace that the node lives in."""
    return Path(Node.load(whole.wadah.home).settings.network_namespace or "").name

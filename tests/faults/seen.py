"""How soon what happens on a node shows: from the event itself until a page that is open would show it."""

import json
import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.install.supervisor import STEADY_S
from runtime.node import Node
from runtime.sandboxes.shared.container import monitor_pid
from tests.e2e.support import installation, ready, standing
from tests.faults.support.sockets import Events
from tests.faults.support.stack import Stack, stack

TIMES = 10
PATIENCE_S, PROMISED_S = 30.0, 2.0
#: What a page fetches when it hears of a change, and from which it shows what happened.
Look = Callable[[dict[str, Any]], bool]


def run(*, home: Path | None = None, as_json: bool = False) -> int:
    """`./wadah bench seen`: prints them; 0 when none took longer than the two seconds that are promised."""
    with ExitStack() as undo:
        made = standing(home) if home else undo.enter_context(installation("--no-demo", "--images", "busybox"))
        ready(made)
        found = measure(undo.enter_context(stack(made)))
    if as_json:
        print(json.dumps({"load": os.getloadavg()[0], "seen_s": found}, indent=1))
    else:
        print(f"load {os.getloadavg()[0]:.1f}; from the event until an open page shows it, {TIMES} times each")
        for name, times in found.items():
            print(f"  {name:48} median {times['median']:5.2f} s   max {times['max']:5.2f} s")
    return int(any(times["max"] > PROMISED_S for times in found.values()))


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
    pid = monitor_pid(node, UUID(pk))
    assert pid is not None
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    return _shown(whole, pk, events, lambda row: row["code"] == "console_lost") - began


def _agent(whole: Stack, pk: str, events: Events) -> float:
    """One whose last end is a while ago: what dies again and again is started again ever later."""
    pid = whole.kernel()["environments"][pk]["pid"]
    time.sleep(STEADY_S + 1)
    began = time.monotonic()
    whole.kill("agent")
    os.kill(pid, signal.SIGKILL)
    return _shown(whole, pk, events, lambda row: row["restarts"] == 1) - began


def _link(whole: Stack, pk: str, events: Events, namespace: Path) -> float:
    name = Node.load(whole.wadah.home).link_name(UUID(pk))
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
    answer = whole.wadah.call("GET", f"/audit?target={pk}&limit=20")
    return words in str(answer.body)


def _namespace(whole: Stack) -> str:
    """Name of the network namespace that the node lives in."""
    return Path(Node.load(whole.wadah.home).settings.network_namespace or "").name

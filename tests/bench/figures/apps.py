"""Apps: the first instruction, an image from a registry, a second tenant, a build, a rollout, idle ones."""

import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.sandboxes.shared.container import monitor_pid_file
from tests.bench import images, load
from tests.bench.bench import WILDCARD, Bench
from tests.bench.figures.memory import proportional_bytes
from tests.bench.measure import Goal, Row, Series, Skipped, ratio
from tests.support.engines import Engine, engines
from tests.support.registry import Hub, registry

TITLE = "apps from a registry on this machine, beside Docker and Podman of Debian in namespaces of their own"
LIMITS = {"cpu": 1, "memory_mb": 64, "disk_mb": 512}
COPIES = 10
NO_BOUNDS: Mapping[str, float] = {}
_WAIT_S = 300
_MIB = 2**20


def measure(bench: Bench) -> Iterator[Row | Skipped]:
    with ExitStack() as undo:
        place = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="wadah-bench-")))
        hub = undo.enter_context(registry(place))
        named = bench.client.call(
            "POST", "/registries", {"host": hub.host, "insecure": True, "inward": True, "tenant": None}
        )
        assert named.status == 201, named.body
        undo.callback(bench.client.call, "DELETE", f"/registries/{named.body['id']}")
        beside = undo.enter_context(engines(hub))
        for engine in beside:
            if engine.reason:
                yield Skipped(engine.name, engine.reason)
        others = [one for one in beside if not one.reason]
        yield from _first_instruction(bench, hub, others)
        yield from _pull_and_run(bench, hub, others)
        yield from _warm_build(bench, hub, others, place)
        yield from _rollout(bench, hub)
        yield from _idle(bench, hub)


def _compared(
    ours: Series, others: list[Engine], theirs: Mapping[str, Series], bounds: Mapping[str, float] = NO_BOUNDS
) -> Iterator[Row | Skipped]:
    for engine in others:
        series = theirs[engine.name]
        if engine.reason or not series.values:
            yield Skipped(series.label, engine.reason)
            continue
        yield series.row()
        goals = (Goal("median", bounds[engine.name]),) if engine.name in bounds else ()
        yield ratio(f"ours / {series.label}", ours, series, goals=goals)


# to the first instruction ------------------------------------------------------------------------


def _first_instruction(bench: Bench, hub: Hub, others: list[Engine]) -> Iterator[Row | Skipped]:
    image = images.small(hub, "first")
    made = _said_up(bench, image, Series(""))["id"]
    digest = bench.client.call("GET", f"/environments/{made}").body["digest"]
    by_digest = f"{image.rpartition(':')[0]}@{digest}"
    _delete(bench, made)
    for engine in others:
        engine.timed(Series(""), partial(engine.pull, image))
    first = Series("POST to first word", goals=(Goal("median", 60),), tails=("p95",))
    by_tag = Series("the same by tag", tails=("p95",))
    theirs = {one.name: Series(f"{one.name} run to first word", tails=("p95",)) for one in others}
    for turn in range(bench.runs + 3):
        _delete(bench, _said_up(bench, by_digest, first)["id"])
        _delete(bench, _said_up(bench, image, by_tag)["id"])
        for engine in others:
            engine.timed(theirs[engine.name], partial(engine.run, image))
            engine.stop()
        if turn == 2:
            for series in (first, by_tag, *theirs.values()):
                series.values.clear()
    yield first.row(note="an image that is there, by digest; by the moment that its log has with the word")
    yield by_tag.row(note="its registry is asked first what the tag means now; docker run doesn't ask")
    yield from _compared(first, others, theirs)


def _said_up(bench: Bench, image: str, series: Series, *, tenant: str = "bench") -> dict[str, Any]:
    """A new app; adds how long it took from the request until its first process said its first word."""
    began = time.time()
    made = bench.client.post_environment(
        image, kind="app", limits=LIMITS, ssh_keys=[], stop_timeout_s=0, tenant=tenant
    )
    path = f"/environments/{made['id']}/logs"

    def said() -> str:
        answer = bench.client.text("GET", path)
        return answer.split(" ", 1)[0] if " stdout up" in answer else ""

    moment = bench.client.wait(said, every_s=0.02)
    series.add((datetime.fromisoformat(moment).timestamp() - began) * 1000)
    return made


def _delete(bench: Bench, *made: str) -> None:
    """And hears no events while others are measured: who doesn't read them is hung up on."""
    bench.client.rest()
    bench.client.delete(*made)
    bench.client.rest()


# from a registry ---------------------------------------------------------------------------------


def _pull_and_run(bench: Bench, hub: Hub, others: list[Engine]) -> Iterator[Row | Skipped]:
    ours = Series("POST to first word, pull included")
    theirs = {one.name: Series(f"{one.name} pull and run") for one in others}
    again, bytes_again = Series("second tenant, same image"), Series("bytes pulled for it", unit="B")
    second = f"bench-{uuid.uuid4().hex[:6]}"
    answer = bench.client.call("POST", "/tenants", {"name": "Second", "slug": second})
    assert answer.status == 201, answer.body
    for number in range(max(3, bench.runs // 10)):
        image = images.large(hub, number)
        for engine in others:
            engine.timed(theirs[engine.name], partial(_fetched_and_run, engine, image))
            engine.stop()
            engine.forget(image)
        made = [_said_up(bench, image, ours)["id"]]
        before = _layer_bytes(hub)
        made.append(_said_up(bench, image, again, tenant=second)["id"])
        bytes_again.add(_layer_bytes(hub) - before)
        _delete(bench, *made)
    yield ours.row(note="about 100 MiB in 5 layers and 1,800 files, none of them seen before")
    yield from _compared(ours, others, theirs, {"docker": 0.7})
    yield again.row()
    yield Row(bytes_again.label, bytes_again.values, "B", (Goal("max", 0),), "of layers, by the registry's log")
    bench.client.call("DELETE", f"/tenants/{answer.body['id']}")


def _fetched_and_run(engine: Engine, image: str) -> None:
    engine.pull(image)
    engine.run(image)


def _layer_bytes(hub: Hub) -> int:
    """Of blobs above 64 KiB that the registry has given away: configurations are smaller."""
    total = 0
    for line in hub.log.read_text().splitlines():
        if "response completed" in line and "http.request.method=GET" in line and "/blobs/" in line:
            written = int(line.partition("http.response.written=")[2].partition(" ")[0] or 0)
            total += written if written > 65_536 else 0
    return total


# builds ------------------------------------------------------------------------------------------


def _warm_build(bench: Bench, hub: Hub, others: list[Engine], place: Path) -> Iterator[Row | Skipped]:
    base = images.small(hub, "base")
    text = f"FROM {base}\n" + "".join(f"RUN echo {one} > /step{one}\n" for one in range(5)) + "CMD echo up\n"
    body = {"tenant": "bench", "name": f"warm-{uuid.uuid4().hex[:6]}", "dockerfile_text": text}
    made = bench.client.call("POST", "/builds", body)
    if made.status != 201:
        yield Skipped("build, warm cache", str(made.body.get("detail")))
        return
    folder = place / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(text)
    builders = [one for one in others if one.name == "podman"]
    ours = Series("build, warm cache, pushed")
    theirs = {one.name: Series(f"{one.name} build and push, warm cache") for one in builders}

    def build() -> None:
        asked = bench.client.call("POST", f"/builds/{made.body['id']}/run", {})
        assert asked.status == 202, asked.body
        _ended(bench, asked.body["operation"])

    for engine in builders:
        engine.timed(Series(""), partial(engine.pull, base))
    for turn in range(max(3, bench.runs // 5) + 1):
        ours.time(build)
        for engine in builders:
            tag = f"{hub.host}/bench/{engine.name}:1"
            engine.timed(theirs[engine.name], partial(_built_and_pushed, engine, folder, tag))
        if turn == 0:  # without a cache
            for series in (ours, *theirs.values()):
                series.values.clear()
    yield ours.row(note="five steps; from the request to the end of its operation, its image in the registry")
    yield from _compared(ours, builders, theirs, {"podman": 1.0})
    bench.client.call("DELETE", f"/builds/{made.body['id']}")


def _built_and_pushed(engine: Engine, folder: Path, tag: str) -> None:
    engine.build(folder, tag)
    engine.push(tag)


def _ended(bench: Bench, operation: str) -> None:
    def look() -> Any:
        body = bench.client.call("GET", f"/operations/{operation}").body
        return None if body["state"] in ("pending", "running") else body

    told = bench.client.wait(look, every_s=0.02, within_s=_WAIT_S)
    assert told["state"] == "succeeded", told


# a rollout ---------------------------------------------------------------------------------------


def _rollout(bench: Bench, hub: Hub) -> Iterator[Row | Skipped]:
    if bench.domains_port is None:
        yield Skipped("rollout", "this installation serves no domains: up --domains, WADAH_DOMAINS_WILDCARD")
        return
    before, after = images.web(hub, 1), images.web(hub, 2)
    health = {"http": "80/cgi-bin/version", "interval": 5, "timeout": 5, "retries": 3, "start_period": 60}
    made = [
        bench.client.create(
            before, kind="app", limits=LIMITS, ssh_keys=[], stop_timeout_s=1, app={"health": health}
        )
        for _ in range(COPIES)
    ]
    bench.client.rest()
    name = f"roll-{uuid.uuid4().hex[:6]}-bench.{WILDCARD}"
    targets = [{"environment": one, "port": 80} for one in made]
    domain = bench.client.call("POST", "/domains", {"name": name, "targets": targets, "https": False})
    assert domain.status == 201, domain.body
    stage = bench.client.call(
        "POST",
        "/stages",
        {"tenant": "bench", "line": name[:11], "name": "production", "environments": made, "drain_s": 1},
    )
    assert stage.status == 201, stage.body
    bench.client.wait(lambda: _healthy(bench, made), every_s=1, within_s=_WAIT_S)
    network = bench.node.settings.network_namespace
    inside = ["nsenter", f"--net={network}"] if network else []  # where the front for domains listens
    asking = subprocess.Popen(
        [*inside, sys.executable, load.__file__, str(bench.domains_port), name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert asking.stdout
    assert asking.stdout.readline() == "asks\n"
    time.sleep(2)
    took = Series(f"rollout of {COPIES} copies", unit="s")
    began = time.monotonic()
    deployed = bench.client.call("POST", f"/stages/{stage.body['id']}/deploy", {"image": after})
    assert deployed.status == 202, deployed.body
    try:
        _ended(bench, _operation_of(deployed.body))
        took.add(time.monotonic() - began)
    finally:
        told = json.loads(asking.communicate("\n", timeout=90)[0])
    yield took.row(note="each drained, made anew from the image and healthy before the next")
    count = len(told["failed"])
    note = f"of {count + len(told['took_ms'])} at 200 a second; {', '.join(sorted(set(told['failed'])))[:200]}"
    yield Row("requests that failed meanwhile", [count], "", (Goal("max", 0),), note)
    if told["took_ms"]:
        yield Row("a request meanwhile", told["took_ms"], tails=("p95", "p99"))
    bench.client.call("DELETE", f"/stages/{stage.body['id']}")
    bench.client.call("DELETE", f"/domains/{domain.body['id']}")
    _delete(bench, *made)


def _operation_of(body: dict[str, Any]) -> str:
    found = body["operation"]
    return str(found["id"] if isinstance(found, dict) else found)


def _healthy(bench: Bench, made: list[str]) -> bool:
    seen = (bench.client.call("GET", f"/environments/{one}").body["health"] for one in made)
    return all(one and one["state"] == "healthy" for one in seen)


# idle --------------------------------------------------------------------------------------------


def _idle(bench: Bench, hub: Hub) -> Iterator[Row]:
    image, count = images.small(hub, "idle"), min(bench.count, 20)
    make: Callable[[], str] = lambda: bench.client.create(  # noqa: E731
        image, kind="app", limits=LIMITS, ssh_keys=[], stop_timeout_s=0
    )
    made = [make()]
    before = _ours(bench)
    made += [make() for _ in range(count)]
    grown = max(0, _ours(bench) - before) / count / _MIB
    monitors = [
        proportional_bytes([int(monitor_pid_file(bench.node, UUID(one)).read_text())]) / _MIB for one in made
    ]
    yield Row(
        "an idle app beside its own processes",
        [one + grown for one in monitors],
        "MiB",
        (Goal("median", 1),),
        f"its conmon, and {grown * 1024:.0f} KiB that our processes grew by for each of {count}",
    )
    _delete(bench, *made)


def _ours(bench: Bench) -> int:
    return sum(proportional_bytes(pids) for pids in bench.processes().values())

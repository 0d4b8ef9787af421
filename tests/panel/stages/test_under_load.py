"""Rollouts while two hundred requests a second come in: through the real front, to copies that are replaced."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from panel.domains import table
from panel.domains.models import Domain
from panel.domains.services import add_domain
from panel.environments.models import Environment
from panel.networks.feature import addresses_of
from panel.stages import services
from panel.stages.models import Rollout, RolloutState
from panel.stages.tasks import go_on
from panel.tenants.models import Tenant
from runtime.contract import AppSeen, Kind, ObservedState
from tests.panel.support import factories
from tests.support.domains import Stand, stand

pytestmark = [pytest.mark.django_db, pytest.mark.root]

OLD, NEW = (f"docker.io/library/shop@sha256:{letter * 64}" for letter in "ab")
NAME = "shop.example.org"
#: A reading and a writing request in turn, each on a connection of its own or on one that is kept, until a line
#: comes and a second longer; what failed, how many went well, and who answered what was asked after it.
_LOAD = """
import http.client, json, sys, threading, time
name, each_s, over, failed, well = sys.argv[1], 0.05, threading.Event(), [], []
def ask(number):
    kept, count, at = None, 0, time.monotonic()
    while not over.is_set():
        at, count = at + each_s, count + 1
        time.sleep(max(0.0, at - time.monotonic()))
        begun = time.monotonic()
        try:
            one = kept or http.client.HTTPConnection("127.0.0.1", 80, timeout=60)
            method, body = ("POST", b"x" * 200) if count % 2 else ("GET", None)
            one.request(method, "/", body=body, headers={"Host": name})
            answer = one.getresponse()
            who = answer.read().split(b"\\n")[0].decode()
            kept = one if number % 2 else None
            is_well = answer.status == 200
            (well if is_well else failed).append((begun, who) if is_well else str(answer.status))
            if kept is None:
                one.close()
        except OSError as error:
            kept = None
            failed.append(f"{method} {error!r}")
threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
for one in threads:
    one.start()
print("asks", flush=True)
sys.stdin.readline()
done = time.monotonic()
time.sleep(1)
over.set()
for one in threads:
    one.join()
later = sorted({who for begun, who in well if begun > done})
print(json.dumps({"failed": failed, "well": len(well), "who": later}))
"""


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    if os.geteuid() != 0:
        pytest.skip("a network of its own needs root")
    with stand(tmp_path_factory.mktemp("front")) as made:
        made.start_front()
        yield made


class Copies:
    """What a node does with them: one process for each, at its address, which ends before the next begins."""

    def __init__(self, front: Stand, tenant: Tenant, count: int) -> None:
        self.front = front
        self.rows = [factories.environment(tenant, kind="app", image=OLD) for _ in range(count)]
        self.address = {pk: found[0] for pk, found in addresses_of({one.pk for one in self.rows}).items()}
        for address in self.address.values():
            front.inside("ip", "address", "add", f"{address}/32", "dev", "lo")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for row in self.rows:
            self._run(row)

    def _run(self, row: Environment) -> None:
        row.refresh_from_db()
        address = self.address[row.pk]
        self.processes[str(row.pk)] = self.front.behind(row.image[-1], f"{address}:80")
        health = {"state": "healthy", "since": "2026-01-01T00:00:00Z", "output": ""}
        digest = row.image.partition("@")[2]
        seen = AppSeen.model_validate({"image": row.image, "digest": digest, "health": health})
        factories.reported(row, ObservedState.RUNNING, app=seen)

    def follow(self) -> None:
        """The node has heard of a new image: the one before is gone for a moment."""
        for row in self.rows:
            row.refresh_from_db()
            if row.observed_generation < row.generation:
                self.processes[str(row.pk)].kill()
                self.processes[str(row.pk)].wait(10)
                time.sleep(0.2)
                self._run(row)


@pytest.mark.parametrize("count", [1, 3])
def test_no_request_fails(front: Stand, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    home = front.layout.home
    monkeypatch.setattr(settings, "WADAH", settings.WADAH.model_copy(update={"home": Path(home)}))
    factories.node(kinds=(Kind.SYSTEM, Kind.APP))
    tenant, actor = factories.tenant(), factories.administrator()
    copies = Copies(front, tenant, count)
    domain = add_domain(actor, tenant, name=NAME, targets=[(one, 80) for one in copies.rows])
    Domain.objects.filter(pk=domain.pk).update(https=False, proved_at=timezone.now(), proved_by="txt")
    stage = services.add_stage(
        actor, tenant, line="shop", name="production", environments=copies.rows, drain_s=2
    )
    table.write()
    load = front.run(sys.executable, "-c", _LOAD, NAME, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert load.stdout is not None
    assert load.stdin is not None
    assert load.stdout.readline() == b"asks\n"
    time.sleep(1)  # of requests, before anything is replaced
    rollout = services.deploy(actor, stage.pk, NEW)
    until = timezone.now() + timedelta(seconds=120)
    while Rollout.objects.get(pk=rollout.pk).state != RolloutState.DONE:
        assert timezone.now() < until
        go_on(rollout.pk)
        copies.follow()
        time.sleep(0.05)
    load.stdin.write(b"\n")
    load.stdin.close()
    told = json.loads(load.stdout.read())
    assert told["failed"] == [], f"{len(told['failed'])} failed, {told['well']} went well"
    assert told["well"] > 100
    assert told["who"] == ["b"], "what is there now is the new one"

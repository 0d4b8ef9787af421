"""`bench scale`: how much slower the panel gets with 10,000 tenants and 100,000 environments, on PostgreSQL.

Rows are generated and no environment runs: measured are the quota's part of a create, list pages and API
lists, each as an administrator of the installation and as the owner of one tenant, first with 100
environments, then with all.
"""

import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from panel.config.secrets import Secrets
from tests.support.postgres import postgresql
from tests.support.redis import redis_on

#: The promise: a quota check under this, and a list at most so many times as slow as with 100 rows.
QUOTA_MS = 2.0
SLOWER = 1.5
_FEW, _MANY = 100, 100_000
_OF_ONE_TENANT = 10
_PER_NODE = 2_000
_BATCH = 2_000


@dataclass(frozen=True)
class Figure:
    name: str
    few_ms: float
    many_ms: float
    steady: float = 1.0
    """How much slower a page without rows was in the same turns: what else the machine did meanwhile."""

    @property
    def times(self) -> float:
        return self.many_ms / self.few_ms / self.steady


def run(*, runs: int = 30, as_json: bool = False) -> int:
    """1 when a promise does not hold."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wadah-scale-")))
        os.environ |= {
            "WADAH_HOME": str(home),
            "WADAH_URL": "http://testserver",
            "DJANGO_SETTINGS_MODULE": "panel.config.settings",
            "DATABASE_URL": stack.enter_context(postgresql()),
            "WADAH_DEBUG": "false",
        }
        Secrets.ensure(home)
        stack.enter_context(redis_on(home / "run" / "redis.sock"))
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connection
        from django.test.utils import override_settings

        from panel.config import settings

        call_command("migrate", verbosity=0)
        plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
        stack.enter_context(override_settings(STORAGES={**settings.STORAGES, "staticfiles": plain}))
        stack.callback(connection.close)
        figures, quota_ms = measure(runs, say=_say(as_json))
    kept = quota_ms < QUOTA_MS and all(figure.times <= SLOWER for figure in figures)
    if as_json:
        shown = [{"name": f.name, "few_ms": f.few_ms, "many_ms": f.many_ms, "times": f.times} for f in figures]
        print(json.dumps({"quota_check_ms": quota_ms, "lists": shown, "kept": kept}, indent=1))
    else:
        for figure in sorted(figures, key=lambda one: -one.times):
            mark = " " if figure.times <= SLOWER else "!"
            figures_text = f"{figure.few_ms:7.1f} ms {figure.many_ms:7.1f} ms {figure.times:5.2f} ×"
            print(f"{mark} {figure.name:60} {figures_text}")
        print(f"quota check of a create: {quota_ms:.2f} ms (promised: under {QUOTA_MS:g} ms)")
        print("all promises hold" if kept else "NOT all promises hold")
    return 0 if kept else 1


def _say(as_json: bool) -> Callable[[str], None]:
    return (lambda text: None) if as_json else (lambda text: print(text, file=sys.stderr, flush=True))


def measure(runs: int, *, say: Callable[[str], None]) -> tuple[list[Figure], float]:
    from django.db import connection

    world = World()
    world.grow_to(_FEW)
    say(f"{_FEW} environments of {world.tenants_count} tenants")
    few = dict(_times(world, runs))
    began = time.monotonic()
    world.grow_to(_MANY)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    say(f"{_MANY} environments of {world.tenants_count} tenants, made in {time.monotonic() - began:.0f} s")
    many = dict(_times(world, runs))
    figures = [Figure(name, few[name][0], many[name][0], many[name][1] / few[name][1]) for name in few]
    return figures, quota_check_ms(world, runs)


class World:
    """Rows as they come to be, written in bulk."""

    def __init__(self) -> None:
        from tests.panel.support import factories

        self.administrator = factories.administrator()
        self.node = factories.node()
        self.nodes = [self.node]
        self.tenants_count = 0
        self.environments_count = 0
        self.top: Any = None
        first = self._tenants(10)[0]
        self.owner = factories.member(first)
        self.one = first

    def grow_to(self, count: int) -> None:
        wanted = max(count // _OF_ONE_TENANT, _FEW)
        while self.tenants_count < wanted:
            self._tenants(min(1000, wanted - self.tenants_count))
        from panel.tenants.models import Tenant

        empty = Tenant.objects.filter(environments=None).exclude(parent=None)
        pool = list(empty.order_by("created_at")[: (count - self.environments_count) // _OF_ONE_TENANT])
        if self.environments_count == 0:
            pool = [self.one, *[t for t in pool if t.pk != self.one.pk]]
        while self.environments_count < count:
            fresh = [pool.pop(0) if pool else self.one for _ in range(_BATCH // _OF_ONE_TENANT)]
            self._environments(fresh, min(_BATCH, count - self.environments_count))
        self._heard()

    def _heard(self) -> None:
        from django.utils import timezone

        from panel.nodes.models import Node

        Node.objects.update(last_seen_at=timezone.now())

    def _tenants(self, count: int) -> list[Any]:
        """A reseller and tenants below it, with limits."""
        from panel.quotas.models import Quota, Resource
        from panel.tenants.models import Tenant

        top = Tenant(name=f"Reseller {self.tenants_count:05}", slug=f"reseller-{self.tenants_count}")
        top.path = f"{top.pk.hex}/"
        below = []
        for number in range(count):
            at = self.tenants_count + number
            tenant = Tenant(name=f"Customer {at:05}", slug=f"customer-{at}", parent=top)
            tenant.path = f"{top.path}{tenant.pk.hex}/"
            below.append(tenant)
        Tenant.objects.bulk_create([top, *below])
        limits = {"environments": 100, "memory_mb": 100_000, "cpu": 100_000}
        Quota.objects.bulk_create(
            [
                Quota(tenant=tenant, resource=r, limit=limits.get(r) if tenant.parent_id else None)
                for tenant in (top, *below)
                for r in Resource.values
            ],
            batch_size=_BATCH,
        )
        self.tenants_count += count
        return below

    def _environments(self, tenants: list[Any], count: int) -> None:
        from django.utils import timezone

        from panel.audit.models import AuditRecord
        from panel.environments.models import Environment, EnvironmentUsage
        from panel.environments.options import fresh
        from panel.networks.models import Address, AddressPool
        from panel.nodes.models import Node
        from panel.operations.models import Operation
        from tests.panel.support import factories

        now = timezone.now()
        node = self.nodes[-1]
        if self.environments_count >= _PER_NODE * len(self.nodes):
            node = factories.node()
            self.nodes.append(node)
        pool = AddressPool.objects.get(node=node, family=4)
        placed = self.environments_count - _PER_NODE * (len(self.nodes) - 1)
        rows = []
        for number in range(count):
            at = self.environments_count + number
            rows.append(
                Environment(
                    tenant=tenants[number // _OF_ONE_TENANT % len(tenants)],
                    node=node,
                    name=f"ve-{at}",
                    image="busybox",
                    intent=fresh({"cpu": 0.5, "memory_mb": 64, "disk_mb": 128}),
                    slot=placed + number,
                    observed_state="running",
                    observed_generation=1,
                    attempted_generation=1,
                    operation_id=uuid.uuid4(),
                    started_at=now,
                    sent_at=now,
                )
            )
        Environment.objects.bulk_create(rows, batch_size=_BATCH)
        EnvironmentUsage.objects.bulk_create(
            [
                EnvironmentUsage(environment=row, at=now, cpu=0.1, memory_bytes=30 * 2**20, disk_bytes=2**20)
                for row in rows
            ]
        )
        Address.objects.bulk_create(
            [
                Address(
                    pool=pool,
                    offset=2 + placed + number,
                    address=f"10.{len(self.nodes)}.{(placed + number) // 250}.{(placed + number) % 250 + 2}",
                    family=4,
                    tenant_id=row.tenant_id,
                    environment=row,
                )
                for number, row in enumerate(rows)
            ]
        )
        Operation.objects.bulk_create(
            [
                Operation(
                    id=row.operation_id,
                    tenant_id=row.tenant_id,
                    environment=row,
                    subject_name=row.name,
                    kind="create",
                    generation=1,
                    state="succeeded",
                    deadline=now + timedelta(minutes=5),
                    finished_at=now,
                )
                for row in rows
            ]
        )
        AuditRecord.objects.bulk_create(
            [
                AuditRecord(
                    chain=row.tenant_id,
                    sequence=self.environments_count + number + 1000,
                    at=now,
                    action="environment.create",
                    who="admin",
                    target_type="environment",
                    target_id=str(row.pk),
                    target_name=row.name,
                    digest=f"{self.environments_count + number:064}",
                )
                for number, row in enumerate(rows)
            ]
        )
        Node.objects.filter(pk=node.pk).update(
            reserved_cpu=(placed + count) * 500,
            reserved_memory_mb=(placed + count) * 64,
            reserved_disk_mb=(placed + count) * 128,
            placed=placed + count,
        )
        self.environments_count += count


#: What is looked at: whole pages and API lists.
_PATHS = (
    "/environments/",
    "/environments/?sort=-created",
    "/environments/?state=running",
    # as many rows in both: of one name, and a whole page
    "/environments/?q=ve-0",
    "/environments/?q=busybox",
    "/tenants/",
    "/operations/",
    "/addresses/",
    "/audit/",
    "/environments/create",
    "/api/v1/environments?limit=50",
    "/api/v1/environments?limit=50&state=running",
    "/api/v1/environments?limit=50&name=ve-7",
    "/api/v1/environments?limit=50&sort=-created_at",
    "/api/v1/tenants?limit=50",
    "/api/v1/operations?limit=50",
    "/api/v1/addresses?limit=50",
    "/api/v1/audit?limit=50",
)


#: Has no rows: what it takes longer, it takes longer for reasons of the machine.
_STEADY = "/accounts/login/"


def _times(world: World, runs: int) -> Iterator[tuple[str, tuple[float, float]]]:
    """Of each path: its own milliseconds, and those of the steady page in the same turns."""
    from django.test import Client

    backend = "allauth.account.auth_backends.AuthenticationBackend"
    for who, user in (("administrator", world.administrator.user), ("owner", world.owner.user)):
        client = Client()
        client.force_login(user, backend)
        for path in _PATHS:
            one = f"/tenants/{world.one.pk}/" if path == "/tenants/" and who == "owner" else path
            yield f"{who} {path if one == path else '/tenants/<id>/'}", _median_ms(client, one, runs)


def _median_ms(client: Any, path: str, runs: int) -> tuple[float, float]:
    from django.test import Client

    stranger = Client()
    taken, steady = [], []
    for number in range(runs + 2):
        own = _one_ms(client, path, number)
        other = _one_ms(stranger, _STEADY, number)
        if number >= 2:  # the first fill caches of templates and plans
            taken.append(own)
            steady.append(other)
    return _typical(taken), _typical(steady)


def _one_ms(client: Any, path: str, number: int) -> float:
    """Told apart by a header: what was answered a moment ago would else come from memory."""
    began = _spent_ms()
    answer = client.get(path, headers={"X-Turn": str(number)})
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return _spent_ms() - began


def _spent_ms() -> float:
    """Processor time of this process and of its database connection's: nothing here waits for a disk, and what
    else the machine does makes the clock's time longer, not this one's."""
    from django.db import connection

    connection.ensure_connection()
    database = Path(f"/proc/{connection.connection.info.backend_pid}/schedstat")
    return time.process_time() * 1000 + int(database.read_text().split()[0]) / 1e6


def _typical(taken: list[float]) -> float:
    """Median of the faster half: what else the machine does makes times longer, never shorter."""
    return statistics.median(sorted(taken)[: max(len(taken) // 2, 1)])


def quota_check_ms(world: World, runs: int) -> float:
    """What the quota adds to a create: reserving all resources of one environment, within its transaction."""
    from django.db import transaction

    from panel.quotas import services as quotas
    from runtime.contract import Limits

    amounts = {**quotas.amounts_of(Limits(cpu=0.5, memory_mb=64, disk_mb=128)), "addresses": 1}
    taken = []
    for number in range(runs * 5 + 5):
        with transaction.atomic():
            began = time.perf_counter()
            quotas.reserve(world.one, amounts)
            if number >= 5:
                taken.append((time.perf_counter() - began) * 1000)
            transaction.set_rollback(True)
    return _typical(taken)

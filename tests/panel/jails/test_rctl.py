"""Rules of rctl(8) that come along with a jail.conf: limits, rules, or left out with why."""

from typing import Any

import pytest
from django.test import Client

from panel.environments.models import Environment
from panel.jails.conf import BadConf
from panel.jails.meaning import Wanted
from panel.jails.rctl import lay_rules
from runtime.contract import Kind
from tests.panel.support import factories


def laid(text: str) -> Wanted:
    web = Wanted(1, "web")
    lay_rules([web, Wanted(2, "db")], text)
    return web


@pytest.mark.parametrize(
    ("rule", "limits"),
    [
        ("memoryuse:deny=512m", {"memory_mb": 512}),
        ("memoryuse:deny=1073741824", {"memory_mb": 1024}),
        ("maxproc:deny=100/jail", {"processes": 100}),
        ("nthr:deny=200", {"processes": 200}),
        ("swapuse:deny=1G", {"swap_mb": 1024}),
        ("pcpu:deny=150", {"cpu": 1.5}),
        ("readbps:throttle=10m", {"disk_read_bytes_s": 10 * 2**20}),
        ("writeiops:throttle=500", {"disk_write_iops": 500}),
    ],
)
def test_freebsd_jail_what_rctl_denies_or_throttles_is_a_limit(rule: str, limits: dict[str, Any]) -> None:
    assert laid(f"jail:web:{rule}").limits == limits


def test_freebsd_jail_what_rctl_logs_or_signals_is_a_rule() -> None:
    rules = (
        "# of the shop\njail:web:memoryuse:sigterm=200m\njail:web:pcpu:log=50 # half\n\njail:db:maxproc:log=9"
    )
    assert laid(rules).rules == ["memory_mb:sigterm=200", "cpu:log=0.5"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("memoryuse:devctl=1g", "denied, logged or signalled"),
        ("memoryuse:throttle=1g", "say deny"),
        ("pcpu:throttle=50", "pcpu:deny slows down"),
        ("maxproc:sigkill=50", "can't be told"),
        ("readbps:deny=1m", "slowed down"),
        ("openfiles:deny=100", "each process"),
        ("vmemoryuse:deny=1g", "say memoryuse"),
        ("nonsense:deny=1", "no resource"),
        ("memoryuse:deny=1g/process", "of the whole jail"),
    ],
)
def test_what_can_not_be_had_is_left_out_by_line(rule: str, said: str) -> None:
    web = laid(f"\njail:web:{rule}")
    [remark] = web.left_out
    assert (remark.line, remark.parameter) == (2, f"rctl {rule.partition(':')[0]}")
    assert said in remark.text
    assert not web.limits and not web.rules


@pytest.mark.parametrize(
    "line",
    [
        "user:www:memoryuse:deny=1g",
        "jail:mail:memoryuse:deny=1g",
        "jail:web:memoryuse",
        "jail:web:memoryuse:deny=-1",
        "x",
    ],
)
def test_what_is_no_rule_of_this_file_is_refused(line: str) -> None:
    with pytest.raises(BadConf) as refused:
        laid(f"jail:web:maxproc:deny=5\n{line}")
    assert refused.value.line == 2


@pytest.mark.django_db
def test_jails_are_made_with_them(client: Client) -> None:
    factories.node(kinds=(Kind.SYSTEM, Kind.JAIL))
    tenant = factories.tenant()
    bearer = factories.bearer(factories.member(tenant), tenant, role="owner")
    body = {
        "tenant": str(tenant.pk),
        "image": "busybox",
        "conf": "web { vnet; } db { vnet; }",
        "rctl": "jail:web:memoryuse:deny=200m\njail:web:memoryuse:log=150m\njail:db:openfiles:deny=9",
    }

    def asked(**more: Any) -> Any:
        return client.post(
            "/api/v1/jails/import", {**body, **more}, content_type="application/json", headers=bearer
        )

    refused = asked()
    assert refused.status_code == 422 and "openfiles" in refused.json()["detail"]
    assert not Environment.objects.exists()
    assert asked(leave_out=True).status_code == 202
    web, db = (Environment.objects.get(name=name) for name in ("web", "db"))
    assert (web.limits["memory_mb"], web.wanted.limit_rules) == (200, ("memory_mb:log=150",))
    assert db.wanted.limit_rules == () and db.limits["memory_mb"] != 200

"""Jails come to the newest build of their base one after the other, and back as one."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.test import Client

from panel.environments import services as environments
from panel.environments.models import Environment
from panel.environments.services import reinstall
from panel.errors import Conflict, Invalid, NodeAway
from panel.jails import bases
from panel.jails.base_tasks import go_on, jail_bases
from panel.jails.models import BaseUpdate
from panel.nodes.agent import Agent
from panel.operations.control import cancel
from panel.operations.models import Operation, OperationState
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from runtime.contract import Kind, ObservedState
from tests.panel.support import described, factories

pytestmark = pytest.mark.django_db

OLD, NEW = "busybox@1", "busybox@2"


class _Nodes:
    """What nodes say of bases, and how commands end."""

    def __init__(self) -> None:
        self.now: dict[UUID, str] = {}
        self.is_away = False
        self.exit_codes: dict[UUID, int] = {}

    async def base(self, pk: UUID) -> dict[str, object]:
        if self.is_away:
            raise NodeAway("it doesn't answer")
        return {
            "now": self.now.get(pk, OLD),
            "newest": NEW,
            "before": "",
            "packages": [{"name": "tool", "before": "1", "after": "2"}],
            "more_packages": 0,
            "files": {"added": 1, "removed": 0, "changed": 3},
            "settings": ["/etc/tool.conf"],
        }


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> _Nodes:
    found = _Nodes()

    async def jail_base(_agent: Agent, pk: UUID, **_how: object) -> dict[str, object]:
        return await found.base(pk)

    async def execute(_agent: Agent, pk: UUID, command: list[str], **_how: object) -> dict[str, object]:
        assert command == ["is-well"]
        return {"exit_code": found.exit_codes.get(pk, 0), "stdout": "", "stderr": "no answer\n"}

    monkeypatch.setattr(Agent, "jail_base", jail_base)
    monkeypatch.setattr(Agent, "execute", execute)
    return found


@pytest.fixture
def actor() -> Actor:
    return factories.administrator()


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.JAIL))
    return factories.tenant()


def _jail(tenant: Tenant, **options: object) -> Environment:
    return factories.environment(tenant, kind="jail", jail=options)


def _ran(*rows: Environment, ago_s: float = -60.0, **more: object) -> None:
    """Their node brought about what they were told, and they run for a while."""
    for row in rows:
        row.refresh_from_db()
        factories.reported(row, started_at=datetime.now(UTC) - timedelta(seconds=ago_s), **more)


def _builds(*rows: Environment) -> list[str]:
    for row in rows:
        row.refresh_from_db()
    return [bases.build_of(row) for row in rows]


def _passed(row: BaseUpdate) -> None:
    """The moment that each has to run for is over."""
    row.refresh_from_db()
    BaseUpdate.objects.filter(pk=row.pk).update(since=row.since - timedelta(minutes=1))


def _settled(row: BaseUpdate, jail: Environment) -> None:
    _passed(row)
    _ran(jail, ago_s=30)
    go_on(row.pk)


def test_freebsd_jail_base_update_goes_one_by_one_and_is_taken_back_as_one(
    actor: Actor, tenant: Tenant, nodes: _Nodes
) -> None:
    jails = [_jail(tenant), _jail(tenant)]
    thick, there = _jail(tenant, base="thick"), _jail(tenant)
    nodes.now[there.pk] = NEW
    update = bases.update(actor, tenant, "busybox")
    go_on(update.pk)
    boots = [row.boots for row in jails]
    assert _builds(*jails, thick, there) == [NEW, "", "", ""], "one after the other, and only whom it changes"
    _ran(jails[0])
    go_on(update.pk)
    assert _builds(*jails) == [NEW, ""], "the first hasn't run for a moment yet"
    _settled(update, jails[0])
    assert _builds(*jails) == [NEW, NEW]
    assert [row.boots for row in jails] == [number + 1 for number in boots], "each started anew"
    with pytest.raises(Conflict):
        bases.update(actor, tenant, "busybox")
    _settled(update, jails[1])
    assert Operation.objects.get(pk=update.operation_id).state == OperationState.SUCCEEDED

    back = bases.roll_back(actor, update.pk)
    go_on(back.pk)
    _settled(back, jails[0])
    _settled(back, jails[1])
    assert _builds(*jails) == ["", ""]
    assert Operation.objects.get(pk=back.operation_id).state == OperationState.SUCCEEDED
    with pytest.raises(Conflict):
        bases.roll_back(actor, update.pk)


@pytest.mark.parametrize("ends", ["node", "command", "person"])
def test_one_that_is_not_well_takes_all_back(actor: Actor, tenant: Tenant, nodes: _Nodes, ends: str) -> None:
    jails = [_jail(tenant), _jail(tenant)]
    nodes.exit_codes[jails[1].pk] = 7
    update = bases.update(actor, tenant, "busybox", command=["is-well"] if ends == "command" else [])
    go_on(update.pk)
    _settled(update, jails[0])
    jail_bases()
    assert _builds(*jails) == [NEW, NEW]
    if ends == "node":
        jails[1].refresh_from_db()
        before = jails[1].generation - 1
        factories.reported(
            jails[1],
            ObservedState.RUNNING,
            generation=before,
            attempted_generation=before + 1,
            code="volume_failed",
        )
    elif ends == "command":
        _settled(update, jails[1])
    else:
        cancel(actor, update.operation_id)
    jail_bases()
    _settled(update, jails[1])
    _settled(update, jails[0])
    jail_bases()
    update.refresh_from_db()
    assert _builds(*jails) == ["", ""], (update.state, update.todo, update.problem, update.is_asked)
    operation = Operation.objects.get(pk=update.operation_id)
    assert operation.state == (OperationState.CANCELLED if ends == "person" else OperationState.FAILED)
    assert ends == "person" or jails[1].name in update.problem
    assert ends != "command" or "no answer" in update.problem


def test_a_stopped_one_is_updated_and_stays_stopped(actor: Actor, tenant: Tenant, nodes: _Nodes) -> None:
    jail = _jail(tenant)
    environments.stop(actor, jail.pk)
    factories.reported(jail, ObservedState.STOPPED)
    update = bases.update(actor, tenant, "busybox", command=["is-well"])
    go_on(update.pk)
    factories.reported(jail, ObservedState.STOPPED)
    go_on(update.pk)
    jail.refresh_from_db()
    assert (jail.desired_state, _builds(jail)) == ("stopped", [NEW])
    assert Operation.objects.get(pk=update.operation_id).state == OperationState.SUCCEEDED


def test_a_build_is_no_option_and_a_reinstall_brings_the_newest(
    actor: Actor, tenant: Tenant, nodes: _Nodes
) -> None:
    jail = _jail(tenant, build=NEW)
    assert _builds(jail) == [""], "of what it is made of, whatever a copy brings along"
    with pytest.raises(Invalid):
        environments.update_environment(actor, jail.pk, {"jail": {"build": NEW}})
    bases.update(actor, tenant, "busybox", [jail.name])
    jail_bases()
    assert _builds(jail) == [NEW]
    environments.update_environment(actor, jail.pk, {"jail": {"allow.raw_sockets": True}})
    assert _builds(jail) == [NEW]
    reinstall(actor, jail.pk)
    assert _builds(jail) == [""]


def test_a_node_that_is_away_is_waited_for_and_given_up(actor: Actor, tenant: Tenant, nodes: _Nodes) -> None:
    jail = _jail(tenant)
    nodes.is_away = True
    update = bases.update(actor, tenant, "busybox")
    jail_bases()
    assert BaseUpdate.objects.get(pk=update.pk).state == "checking"
    BaseUpdate.objects.filter(pk=update.pk).update(since=update.since - timedelta(minutes=3))
    jail_bases()
    assert Operation.objects.get(pk=update.operation_id).state == OperationState.FAILED
    assert _builds(jail) == [""]


def test_preview_by_api_and_page_begins_nothing(tenant: Tenant, nodes: _Nodes) -> None:
    jail, owner = _jail(tenant), factories.member(tenant)
    client = Client(headers=factories.bearer(owner, tenant, role="owner"))
    body = {"tenant": tenant.slug, "image": "busybox"}
    seen = client.post("/api/v1/jails/base-updates/preview", body, content_type="application/json")
    described.check("jails_base_updates_preview", seen.json())
    (told,) = seen.json()["jails"]
    assert (told["name"], told["now"], told["newest"]) == (jail.name, OLD, NEW)
    browser = Client()
    browser.force_login(owner.user)
    page = browser.post("/jails/bases/", {**body, "tenant": str(tenant.pk), "preview": "1"})
    text = page.content.decode()
    assert page.status_code == 200, text
    assert "tool 1 → 2" in text and "/etc/tool.conf" in text
    assert not BaseUpdate.objects.exists()
    begun = client.post("/api/v1/jails/base-updates", body, content_type="application/json")
    assert begun.status_code == 202, begun.content
    described.check("jails_base_updates_create", begun.json())
    listed = client.get("/api/v1/jails/base-updates").json()
    assert [one["id"] for one in listed["items"]] == [begun.json()["id"]]
    elsewhere = factories.tenant()
    other = Client(headers=factories.bearer(factories.member(elsewhere), elsewhere, role="owner"))
    assert other.get("/api/v1/jails/base-updates").json()["count"] == 0
    back = f"/api/v1/jails/base-updates/{begun.json()['id']}/rollback"
    assert other.post(back, content_type="application/json").status_code == 404

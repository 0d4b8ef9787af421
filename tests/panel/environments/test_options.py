"""Options of an environment: one document, one table that says of each what it means."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from panel import codes
from panel.audit.models import AuditRecord
from panel.environments import services
from panel.environments.document import Intent
from panel.environments.models import Environment
from panel.environments.options import OPTIONS, labels, of_a_copy
from panel.environments.specs import spec_of
from panel.errors import Conflict, Invalid
from panel.operations.models import Operation
from panel.rights.actor import Actor
from panel.tenancy.lifecycle import schedule_deletion
from panel.tenants.models import Tenant
from runtime.contract import ObservedState
from runtime.contract.environment import Boot
from tests.panel.support import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tenant() -> Tenant:
    factories.node()
    return factories.tenant()


@pytest.fixture
def root() -> Actor:
    return factories.administrator()


@pytest.fixture
def row(tenant: Tenant) -> Environment:
    made = factories.environment(tenant)
    return started(made)


def started(row: Environment, **fields: Any) -> Environment:
    factories.reported(row, started_at=datetime.now(UTC), **fields)
    row.refresh_from_db()
    return row


def state_of(row: Environment) -> tuple[int, int, int]:
    row.refresh_from_db()
    return row.generation, row.version, Operation.objects.filter(environment=row).count()


def test_each_field_of_the_document_has_its_line() -> None:
    assert set(OPTIONS) == set(Intent.model_fields)


def test_a_copy_has_what_the_table_says() -> None:
    """Written before an option came about, it has the default; what the provider opened stays behind."""
    kept = of_a_copy({"limits": {}, "security": {"nesting": True}, "devices": ["/dev/fuse"], "protected": True})
    assert kept["devices"] == ["/dev/fuse"] and kept["restart"]["mode"] == "always"
    assert not kept.keys() & {"limits", "security", "network", "protected"}


def test_records_call_a_field_as_its_form_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert codes.FIELDS.keys() >= labels().keys()
    monkeypatch.setattr(codes, "FIELDS", {"delay_s": "delay"})
    codes.name_fields(labels())
    assert (codes.field("order"), codes.field("delay_s")) == ("Boot order", "delay"), "its own word goes first"


@pytest.mark.parametrize(
    "change",
    [
        {"limits": {"memory_mb": 64}},
        {"security": {"nesting": False}},
        {"network": {"nameservers": []}},
        {"devices": []},
        {"restart": {"mode": "always"}},
        {"stop_timeout_s": 30},
        {"protected": False},
        {"boot": {"order": 0}},
        {"boot": {"order": 0, "delay_s": 0}},
        {"ssh_keys": []},
        {"description": ""},
        {"tags": []},
        {},
    ],
)
def test_what_makes_no_difference_does_nothing(row: Environment, root: Actor, change: dict[str, Any]) -> None:
    if "limits" in change:
        change = {"limits": {"memory_mb": row.limits["memory_mb"]}}
    before = state_of(row)
    assert services.update_environment(root, row.pk, change).operation is None
    assert services.update_environment(root, row.pk, {**change, "name": row.name}).operation is None
    assert state_of(row) == before


def test_a_state_that_is_there_already_is_no_change(row: Environment, root: Actor) -> None:
    before = state_of(row)
    assert services.start(root, row.pk).operation is None
    assert state_of(row) == before
    factories.reported(row, ObservedState.FAILED, code="init_crashed")
    assert services.start(root, row.pk).operation is not None, "one that crashed is started"


def test_a_forced_stop_is_of_this_stop_alone(row: Environment, root: Actor) -> None:
    document = row.intent
    services.stop(root, row.pk, timeout_s=0)
    row.refresh_from_db()
    assert (spec_of(row).stop_timeout_s, row.intent) == (0, document)
    factories.reported(row, ObservedState.STOPPED)
    services.start(root, row.pk)
    row.refresh_from_db()
    assert spec_of(row).stop_timeout_s == 30


def test_an_option_that_waits_for_a_start_says_what_holds(row: Environment, tenant: Tenant) -> None:
    client = Client(headers=factories.bearer(factories.administrator(), None, "*"))
    path = f"/api/v1/environments/{row.pk}"
    assert client.get(path).json()["pending_restart"] == {}
    body = {"security": {"confinement": "strict"}}
    assert client.patch(path, body, content_type="application/json").status_code == 202
    factories.reported(row, started_at=row.started_at)
    shown = client.get(path).json()
    assert shown["security"]["confinement"] == "strict"
    assert shown["pending_restart"]["security"]["confinement"] == "default"
    browser = Client()
    browser.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    assert "confinement default" in browser.get(f"/environments/{row.pk}/").content.decode()
    services.restart(factories.administrator(), row.pk)
    started(row)
    assert client.get(path).json()["pending_restart"] == {}


def test_who_lifts_the_confinement_is_asked_and_told_what_it_means(row: Environment, tenant: Tenant) -> None:
    def browser(of: Actor) -> Client:
        client = Client()
        client.force_login(of.user, "allauth.account.auth_backends.AuthenticationBackend")
        return client

    page, change = f"/environments/{row.pk}/settings", f"/environments/{row.pk}/settings/confinement"
    asked = {"security.nesting": "on", "security.firewall": "on"}
    root, owner = browser(factories.administrator()), browser(factories.member(tenant))
    seen = root.get(page).content.decode()
    assert 'name="security.nesting"' in seen
    assert "limits of single containers on a node with cgroup v1" in seen
    assert 'name="security' not in owner.get(page).content.decode(), "he is not asked"
    assert owner.post(change, asked).status_code == 403
    row.refresh_from_db()
    assert not row.wanted.security.nesting
    root.post(change, asked)
    row.refresh_from_db()
    assert (row.wanted.security.nesting, row.wanted.security.firewall) == (True, True)
    owner.post(f"/environments/{row.pk}/settings/options", {"boot.order": "8"})
    row.refresh_from_db()
    assert (row.wanted.security.nesting, row.wanted.boot.order) == (True, 8), "nobody takes it by the way"
    viewer = browser(factories.member(tenant, "viewer")).get(page).content.decode()
    assert "<dt>Containers inside</dt>" in viewer, "whoever may change nothing reads it"


def test_a_start_by_an_older_intent_holds_the_older_value(row: Environment, root: Actor) -> None:
    services.update_environment(root, row.pk, {"security": {"confinement": "strict"}})
    row.refresh_from_db()
    crashed = datetime.now(UTC) + timedelta(seconds=1)
    factories.reported(row, generation=row.generation - 1, started_at=crashed)
    row.refresh_from_db()
    assert row.pending["security"]["confinement"] == "default"


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_a_cancel_puts_every_option_back(row: Environment, root: Actor, name: str) -> None:
    changes: dict[str, Any] = {
        "limits": {"memory_mb": row.limits["memory_mb"] + 16},
        "network": {"nameservers": ["9.9.9.9"]},
        "security": {"nesting": True},
        "devices": ["/dev/net/tun"],
        "restart": {"mode": "never"},
        "stop_timeout_s": 7,
    }
    if name not in changes:
        return
    known = row.intent
    done = services.update_environment(root, row.pk, {name: changes[name]}).operation
    assert done is not None
    row.refresh_from_db()
    assert row.intent != known
    written = AuditRecord.objects.filter(target_id=str(row.pk), action="environment.update").first()
    assert written is not None and name in written.after
    services.cancel_operation(root, done.pk)
    row.refresh_from_db()
    assert row.intent == known


def test_notes_are_for_who_looks_after_it(row: Environment, root: Actor, tenant: Tenant) -> None:
    before = state_of(row)
    client = Client(headers=factories.bearer(root, None, "*"))
    path, text = f"/api/v1/environments/{row.pk}", "Backups at 3.\nAsk <Sari> first."

    def patch(notes: str) -> Any:
        return client.patch(path, {"notes": notes}, content_type="application/json")

    assert patch(text).json()["notes"] == text
    assert state_of(row) == (before[0], before[1] + 1, before[2]), "the node never hears of them"
    written = AuditRecord.objects.filter(target_id=str(row.pk), action="environment.update").first()
    assert written is not None and written.after["notes"] == text
    seen = (patch("x" * 4001), patch("a\x00b"))
    assert [(one.status_code, one.json()["field"]) for one in seen] == [(422, "notes")] * 2
    browser = Client()
    browser.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    assert (
        "Backups at 3.<br>Ask &lt;Sari&gt; first." in browser.get(f"/environments/{row.pk}/").content.decode()
    )
    assert 'name="notes"' in browser.get(f"/environments/{row.pk}/settings").content.decode()
    browser.post(f"/environments/{row.pk}/settings/notes", {"notes": "Moved.\r\n"})
    row.refresh_from_db()
    assert row.wanted.notes == "Moved."
    factories.reported(row)
    browser.post(f"/environments/{row.pk}/settings/notes", {"notes": ""})
    row.refresh_from_db()
    assert row.wanted.notes == "", "taken out again"


def test_a_protected_one_is_kept(row: Environment, root: Actor, tenant: Tenant) -> None:
    generation = row.generation
    services.update_environment(root, row.pk, {"protected": True})
    row.refresh_from_db()
    assert row.generation == generation, "the node never hears of it"
    client = Client(headers=factories.bearer(root, None, "*"))
    path, less = f"/api/v1/environments/{row.pk}", {"disk_mb": row.limits["disk_mb"] - 16}
    answers = [
        client.delete(path),
        client.post(f"{path}/reinstall", {}, content_type="application/json"),
        client.patch(path, {"limits": less}, content_type="application/json"),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(409, "protected")] * 3
    with pytest.raises(Conflict, match=row.name):
        schedule_deletion(root, tenant.pk)
    tenant.refresh_from_db()
    assert tenant.delete_at is None
    browser = Client()
    browser.force_login(root.user, "allauth.account.auth_backends.AuthenticationBackend")
    asked = {"action": "delete", "id": [str(row.pk)], "typed": "1"}
    assert row.name in browser.post("/environments/bulk", asked, follow=True).content.decode()
    row.refresh_from_db()
    assert (row.generation, row.desired_state) == (generation, "running")
    page = browser.get(f"/environments/{row.pk}/settings").content.decode()
    assert 'name="protected"' in page
    assert browser.post(f"/environments/{row.pk}/settings/options", {}).status_code == 302, "off again"
    assert client.delete(path).status_code == 202


def test_a_create_that_is_protected_is_not_cancelled_away(tenant: Tenant, root: Actor) -> None:
    row = factories.environment(tenant, is_running=False, protected=True)
    assert row.operation_id is not None
    with pytest.raises(Conflict, match="protected"):
        services.cancel_operation(root, row.operation_id)


def test_the_document_of_the_api_has_them_all(tenant: Tenant) -> None:
    client = Client(headers=factories.bearer(factories.administrator(), None, "*"))
    schemas = client.get("/api/v1/openapi.json").json()["components"]["schemas"]
    for schema in ("NewEnvironment", "EnvironmentToChange", "ChangedEnvironment"):
        assert set(OPTIONS) <= set(schemas[schema]["properties"]), schema


def test_boot_order_and_delay_reach_the_node_by_page_and_api(row: Environment, tenant: Tenant) -> None:
    client = Client(headers=factories.bearer(factories.administrator(), None, "*"))
    path = f"/api/v1/environments/{row.pk}"
    for wrong in ({"order": 1001}, {"order": -1}, {"delay_s": 601}, {"order": "first"}, {"first": True}):
        answer = client.patch(path, {"boot": wrong}, content_type="application/json")
        assert answer.status_code == 422, wrong
        assert "boot" in answer.json()["field"]
    assert client.patch(path, {"boot": {"order": 7}}, content_type="application/json").status_code == 202
    row = started(row)
    browser = Client()
    browser.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    page = f"/environments/{row.pk}/settings"
    assert 'name="boot.order" value="7"' in browser.get(page).content.decode()
    form = {"boot.order": "7", "boot.delay_s": "2.5"}
    assert browser.post(f"{page}/options", form).status_code == 302
    row.refresh_from_db()
    assert spec_of(row).boot == Boot(order=7, delay_s=2.5)
    assert client.get(path).json()["pending_restart"] == {}


def test_an_option_that_came_after_a_row_was_written_counts_as_not_asked_for(
    row: Environment, root: Actor
) -> None:
    del row.intent["boot"]
    row.save(update_fields=["intent"])
    before = state_of(row)
    assert services.update_environment(root, row.pk, {"boot": {"order": 0}}).operation is None
    assert state_of(row) == before
    assert services.update_environment(root, row.pk, {"boot": {"delay_s": 3.0}}).operation is not None
    assert spec_of(Environment.objects.get(pk=row.pk)).boot == Boot(delay_s=3)


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"stop_timeout_s": 601.0}, "stop_timeout_s", "stop_timeout_s: at most 600"),
        ({"stop_timeout_s": float("nan")}, "stop_timeout_s", "stop_timeout_s: at most 600"),
        ({"rescue": "floppy"}, "rescue", "rescue: one of 'off', "),
        ({"network": {"hostname": "x"}}, "network.hostname", "hostname: there is no such field"),
        ({"network": {"nameservers": ["192.0.2.1"] * 4}}, "network.nameservers", "at most 3 of them"),
        ({"boot": {"order": -1}}, "boot.order", "order: at least"),
    ],
)
def test_what_the_document_has_no_room_for_is_refused_by_its_field(
    row: Environment, root: Actor, given: dict[str, Any], field: str, said: str
) -> None:
    before = row.intent
    with pytest.raises(Invalid) as refused:
        services.update_environment(root, row.pk, given)
    assert refused.value.field == field
    assert said in refused.value.message
    row.refresh_from_db()
    assert row.intent == before

"""Apps: asked for by image, told to the node with how its registry is asked, shown with what that led to."""

from html import unescape
from typing import Any

import pytest
from django.forms import BooleanField
from django.test import Client

from panel.audit.models import AuditRecord
from panel.environments import services as environments
from panel.environments.models import Environment
from panel.environments.observe import observe
from panel.environments.options import at, fields_of
from panel.environments.specs import spec_of
from panel.errors import Invalid
from panel.operations.models import Operation
from panel.plans.services import create_plan
from panel.registries.services import add_registry
from panel.tenants.models import Tenant
from runtime.contract import APP_IMAGE, AppSeen, Kind
from tests.panel.support import factories
from tests.panel.support.reports import report_of

pytestmark = pytest.mark.django_db
DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.APP))
    return factories.tenant()


def app(tenant: Tenant, image: str = "registry.example.com/a/b:1", **fields: Any) -> Environment:
    return factories.environment(tenant, kind="app", image=image, is_running=False, **fields)


def test_the_node_is_told_what_was_asked_for(tenant: Tenant) -> None:
    add_registry(factories.member(tenant), tenant, host="registry.example.com", username="u", password="p")
    row = app(tenant, app={"command": ["/x"], "env": {"A": "1"}, "read_only": True})
    spec = spec_of(row)
    assert (spec.kind, spec.image) == (Kind.APP, APP_IMAGE)
    assert spec.app is not None
    assert (spec.app.image, spec.app.command) == ("registry.example.com/a/b:1", ("/x",))
    assert (spec.app.env, spec.app.read_only, spec.app.args) == ({"A": "1"}, True, None)
    assert (spec.app.registry.username, spec.app.registry.password) == ("u", "p")
    assert spec.deadline_s > 1000
    assert row.root_password_hash == ""
    assert "'password'" not in str(Operation.objects.values())


def test_its_image_is_named_as_docker_names_it(tenant: Tenant) -> None:
    assert app(tenant, "nginx").image == "docker.io/library/nginx:latest"
    for image in ("NGINX", "http://a/b", "a b", "--x", "oci:/etc", "a@sha256:1"):
        with pytest.raises(Invalid) as refused:
            app(tenant, image)
        assert refused.value.field == "image"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"app": {"none": 1}}, "app.none"),
        ({"app": {"command": "words"}}, "app.command"),
        ({"app": {"image": "other"}}, "app.image"),
        ({"app": {"registry": {"inward": True}}}, "app.registry"),
        ({"app": {"workdir": "relative"}}, "app.workdir"),
        ({"app": {"env": {"A=B": "x"}}}, "app.env"),
        ({"app": {"tmpfs": ["/proc/x"]}}, "app.tmpfs"),
        ({"app": {"tmpfs": ["/a,size=1g"]}}, "app.tmpfs"),
        ({"app": {"tmpfs": ["/a:size=-1"]}}, "app.tmpfs"),
        ({"app": {"tmpfs": ["/a:uid=70000"]}}, "app.tmpfs"),
        ({"app": {"tmpfs": ["/a:suid"]}}, "app.tmpfs"),
        ({"app": {"cap_add": ["SYS_MODULE"]}}, "app.cap_add.0"),
        ({"app": {"cap_add": ["NET_ADMIN"]}, "security": {"confinement": "strict"}}, "app.cap_add"),
        ({"app": {"ulimits": {"rtprio": "1"}}}, "app.ulimits"),
        ({"app": {"sysctls": {"kernel.panic": "1"}}}, "app.sysctls"),
        ({"ssh_keys": ["ssh-ed25519 AAAA"]}, "ssh_keys"),
        ({"root_password": "a long password"}, "ssh_keys"),
    ],
)
def test_what_can_not_be_asked(tenant: Tenant, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        app(tenant, **fields)
    assert refused.value.field == field
    assert not Environment.objects.exists()


def test_a_system_takes_no_options_of_an_app(tenant: Tenant) -> None:
    with pytest.raises(Invalid, match="only an environment of kind app"):
        factories.environment(tenant, app={"tty": True})
    row = factories.environment(tenant)
    with pytest.raises(Invalid, match="only an environment of kind app"):
        environments.update_environment(factories.administrator(), row.pk, {"app": {"tty": True}})


def test_a_node_without_its_tools_gets_none() -> None:
    factories.node()
    with pytest.raises(Invalid, match="kind app"):
        app(factories.tenant())


def test_a_plan_may_leave_apps_out(tenant: Tenant) -> None:
    create_plan(
        factories.administrator(), name="Systems", limits=factories.LIMITS, choices={"kinds": ["system"]}
    )
    with pytest.raises(Invalid, match="allows the kind system"):
        app(tenant, plan="systems", limits=None)


def test_the_answer_holds_the_digest(tenant: Tenant) -> None:
    owner = factories.member(tenant)
    headers = factories.bearer(owner, tenant, role="owner")
    body = {
        "name": "web",
        "kind": "app",
        "image": "registry.example.com/web:1",
        "limits": factories.LIMITS,
        "app": {"args": ["--fast"], "env": {"MODE": "prod"}},
    }
    answer = Client().post("/api/v1/environments", body, content_type="application/json", headers=headers)
    assert answer.status_code == 202, answer.content
    made = answer.json()
    assert "root_password" not in made
    assert (made["digest"], made["app"]["args"]) == (None, ["--fast"])
    row = Environment.objects.get(pk=made["id"])
    seen = AppSeen(image=row.image, digest=DIGEST, command=("nginx", "--fast"), ports=("80/tcp",))
    assert observe(report_of(row, 1, app=seen))
    shown = Client().get(f"/api/v1/environments/{row.pk}", headers=headers).json()
    assert (shown["digest"], shown["command"], shown["exposed_ports"]) == (
        DIGEST,
        ["nginx", "--fast"],
        ["80/tcp"],
    )
    client = Client()
    client.force_login(owner.user, "allauth.account.auth_backends.AuthenticationBackend")
    text = client.get(f"/environments/{row.pk}/").content.decode()
    assert DIGEST in text
    assert "nginx --fast" in text
    by_digest = {**body, "name": "two", "image": f"registry.example.com/web@{DIGEST}"}
    answer = Client().post("/api/v1/environments", by_digest, content_type="application/json", headers=headers)
    assert answer.json()["digest"] == DIGEST


def test_a_change_begins_it_anew_and_goes_by_fields(tenant: Tenant) -> None:
    row = app(tenant, app={"env": {"A": "1"}, "tty": True})
    factories.reported(row)
    environments.update_environment(factories.administrator(), row.pk, {"app": {"env": {"B": "2"}}})
    row.refresh_from_db()
    assert row.boots == 1
    assert (row.intent["app"]["env"], row.intent["app"]["tty"]) == ({"B": "2"}, True)
    environments.update_environment(factories.administrator(), row.pk, {"app": {"env": {"B": "2"}}})
    row.refresh_from_db()
    assert row.boots == 1


def test_another_image_by_reinstall(tenant: Tenant) -> None:
    row = app(tenant)
    factories.reported(row)
    changed = environments.reinstall(factories.administrator(), row.pk, image="registry.example.com/a/b:2")
    assert changed.root_password is None
    row.refresh_from_db()
    assert (row.image, row.installs) == ("registry.example.com/a/b:2", 1)
    with pytest.raises(Invalid):
        environments.reinstall(factories.administrator(), row.pk, image="A B")


def test_values_of_variables_are_in_no_audit(tenant: Tenant) -> None:
    row = app(tenant, app={"env": {"PASSWORD_OF_DB": "hunter2-word"}})
    factories.reported(row)
    environments.update_environment(factories.administrator(), row.pk, {"app": {"env": {"X": "hunter3-word"}}})
    said = str(list(AuditRecord.objects.values("before", "after")))
    assert "hunter2-word" not in said
    assert "hunter3-word" not in said
    assert "PASSWORD_OF_DB" in said


def test_the_form_asks_what_an_app_needs(tenant: Tenant) -> None:
    owner = factories.member(tenant)
    client = Client()
    client.force_login(owner.user, "allauth.account.auth_backends.AuthenticationBackend")
    of_system = client.get("/environments/create").content.decode()
    assert 'name="app.env"' not in of_system
    assert "?kind=app" in of_system
    of_app = client.get("/environments/create?kind=app").content.decode()
    assert 'name="app.env"' in of_app
    assert "ssh_keys" not in of_app
    values = {
        "name": "web",
        "tenant": tenant.slug,
        "kind": "app",
        "kernel": "shared",
        "image": "nginx:1.27",
        "plan": "",
        **factories.LIMITS,
        "app.args": "--a 'b c'",
        "app.env": "A=1\nB=x=y",
        "app.user": "www",
        "is_started": "on",
    }
    refused = client.post("/environments/create", {**values, "app.env": "A"})
    assert (refused.status_code, "NAME=value" in refused.content.decode()) == (422, True)
    assert client.post("/environments/create", values).status_code == 302
    row = Environment.objects.get()
    assert row.image == "docker.io/library/nginx:1.27"
    app = row.intent["app"]
    assert (app["args"], app["env"], app["user"]) == (["--a", "b c"], {"A": "1", "B": "x=y"}, "www")


@pytest.fixture
def owner(tenant: Tenant) -> Client:
    client = Client()
    client.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def groups(row: Environment) -> dict[str, dict[str, str]]:
    """Fields of its settings by group, as a browser would send them."""
    document = row.wanted.model_dump(mode="json")
    found: dict[str, dict[str, str]] = {}
    for place, one in fields_of(Kind.APP, is_new=False).items():
        field = one.make()
        shown = field.prepare_value(at(document, place))
        if isinstance(field, BooleanField):
            sent = {place: "on"} if shown else {}
        else:
            sent = {place: "" if shown is None else str(shown).replace("\n", "\r\n")}
        found.setdefault(one.group.name, {}).update(sent)
    return found


def saved(owner: Client, row: Environment, group: str, **changed: str | None) -> Any:
    """What the document has after a form was sent with these fields otherwise; None: the box is off."""
    values = {**groups(row)[group], **{name.replace("__", "."): text for name, text in changed.items()}}
    sent = {name: text for name, text in values.items() if text is not None}
    answer = owner.post(f"/environments/{row.pk}/settings/{group}", sent)
    assert answer.status_code == 302, answer.content.decode()
    row.refresh_from_db()
    return row.intent["app"]


ALL = {
    "command": ["/bin/sh", "-c", "a\nb 'c'"],
    "args": ["--x", ""],
    "env": {"A": "1", "B": "x=y", "KEY": "-----\nabc=\n-----"},
    "user": "www",
    "read_only": True,
    "init": True,
    "workdir": "/srv",
    "tmpfs": ["/run", "/tmp"],
    "shm_mb": 32,
    "hosts": {"db": "10.0.0.5", "six": "fd00::1"},
    "stop_signal": "SIGQUIT",
    "tty": True,
    "hostname": "front",
    "labels": {"team": "shop"},
    "ulimits": {"nofile": "1024:4096"},
    "sysctls": {"net.core.somaxconn": "512"},
    "cap_add": ["NET_ADMIN"],
    "cap_drop": ["ALL"],
    "health": {"http": "8080/ready", "interval": 15, "retries": 2, "start_period": 0, "action": "restart"},
    "logs": {"to": "syslog+tcp://10.0.0.9:514", "tag": "shop"},
}


@pytest.mark.parametrize(
    ("group", "place", "text", "is_then"),
    [
        ("run", "app.command", "/x 'a b'", ["/x", "a b"]),
        ("run", "app.args", "-v", ["-v"]),
        ("run", "app.env", "A=2\r\nC=3", {"A": "2", "C": "3", "KEY": "-----\nabc=\n-----"}),
        ("run", "app.user", "1000:1000", "1000:1000"),
        ("run", "app.read_only", None, False),
        ("run", "app.init", None, False),
        ("around", "app.workdir", "/data", "/data"),
        ("around", "app.tmpfs", "/run\r\n/var/cache", ["/run", "/var/cache"]),
        ("around", "app.shm_mb", "64", 64),
        ("around", "app.hosts", "db=10.0.0.6", {"db": "10.0.0.6"}),
        ("around", "app.stop_signal", "SIGINT", "SIGINT"),
        ("around", "app.tty", None, False),
        ("around", "app.hostname", "back", "back"),
        ("around", "app.labels", "team=front", {"team": "front"}),
        ("rights", "app.cap_add", "NET_RAW, cap_sys_nice", ["NET_RAW", "SYS_NICE"]),
        ("rights", "app.cap_drop", "KILL", ["KILL"]),
        ("rights", "app.ulimits", "nofile=512", {"nofile": "512:512"}),
        ("rights", "app.sysctls", "net.ipv4.ip_forward=1", {"net.ipv4.ip_forward": "1"}),
        ("health", "app.health.http", "81/x", {"port": 81, "path": "/x"}),
        ("health", "app.health.interval", "20", 20),
        ("health", "app.health.timeout", "4", 4),
        ("health", "app.health.retries", "5", 5),
        ("health", "app.health.start_period", "9", 9),
        ("health", "app.health.action", "none", "none"),
        ("logs", "app.logs.to", "loki+http://10.0.0.9", "loki+http://10.0.0.9"),
        ("logs", "app.logs.tag", "other", "other"),
    ],
)
def test_each_field_is_changed_in_the_settings_and_no_other(
    tenant: Tenant, owner: Client, group: str, place: str, text: str | None, is_then: Any
) -> None:
    row = app(tenant, app=ALL)
    factories.reported(row)
    before = row.intent["app"]
    page = unescape(owner.get(f"/environments/{row.pk}/settings").content.decode())
    assert f'name="{place}"' in page
    assert saved(owner, row, group) == before, "nothing was changed"
    assert row.boots == 0
    now = saved(owner, row, group, **{place: text})
    assert at({"app": now}, place) == is_then
    first = place.split(".")[1]
    needs_start = group in ("run", "around", "rights") and first != "labels"
    assert row.boots == needs_start, "what its first process reads needs a start"
    assert {**now, first: None} == {**before, first: None}
    if first in ("health", "logs"):
        last = place.split(".")[2]
        assert {**now[first], last: None} == {**before[first], last: None}


def test_what_is_emptied_the_image_says_again(tenant: Tenant, owner: Client) -> None:
    row = app(tenant, app={**ALL, "env": {"A": "1"}})
    factories.reported(row)
    for group in ("run", "around", "rights", "health", "logs"):
        now = saved(owner, row, group, **dict.fromkeys(groups(row)[group]))
    assert now == app(tenant, name="two", app={}).intent["app"]
    page = unescape(owner.get(f"/environments/{row.pk}/settings").content.decode())
    assert '<details class="panel" id="health">' in page, "what says nothing is closed"


def test_what_is_shown_is_what_it_has(tenant: Tenant, owner: Client) -> None:
    row = app(tenant, app=ALL)
    page = unescape(owner.get(f"/environments/{row.pk}/settings").content.decode())
    for text in (
        "--x ''",
        "A=1\nB=x=y</textarea>",
        "/run\n/tmp",
        "db=10.0.0.5\nsix=fd00::1",
        'value="8080/ready"',
    ):
        assert text in page, text
    assert "-----" not in page, "a value of several lines stays out of lines"
    assert '<details class="panel" id="health" open>' in page


@pytest.mark.parametrize(
    ("group", "place", "text", "says"),
    [
        ("around", "app.tmpfs", "/run\n/proc/x", "below /proc"),
        ("around", "app.hosts", "db=here", "an address of a host is written"),
        ("around", "app.workdir", "relative", "match"),
        ("health", "app.health.tcp", "80", "one of command, http, tcp"),
        ("health", "app.health.http", "x", "http is 8080/path"),
        ("health", "app.health.interval", "1", "5"),
        ("logs", "app.logs.to", "", "it is needed"),
        ("logs", "app.logs.to", "http://x", "an address for logs"),
        ("run", "app.env", "A", "NAME=value"),
    ],
)
def test_a_bad_value_is_told_at_its_field(
    tenant: Tenant, owner: Client, group: str, place: str, text: str, says: str
) -> None:
    row = app(tenant, app=ALL)
    before = row.intent["app"]
    answer = owner.post(f"/environments/{row.pk}/settings/{group}", {**groups(row)[group], place: text})
    page = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert says in page
    assert f'id="{group}" open>' in page or group == "run"
    row.refresh_from_db()
    assert row.intent["app"] == before


def test_null_takes_any_field_back(tenant: Tenant) -> None:
    row = app(tenant, app=ALL)
    factories.reported(row)
    environments.update_environment(factories.administrator(), row.pk, {"app": dict.fromkeys(ALL)})
    row.refresh_from_db()
    assert row.intent["app"] == app(tenant, name="two", app={}).intent["app"]


def test_the_create_page_asks_for_health_and_logs(tenant: Tenant, owner: Client) -> None:
    values = {
        "name": "web",
        "tenant": tenant.slug,
        "kind": "app",
        "kernel": "shared",
        "image": "nginx",
        "plan": "",
    }
    asked = {
        "app.health.http": "8080/ready",
        "app.health.start_period": "0",
        "app.health.action": "restart",
        "app.logs.to": "syslog+udp://10.0.0.9",
        "app.tmpfs": "/run\n/tmp",
        "app.hosts": "db=10.0.0.5",
        "app.shm_mb": "32",
    }
    answer = owner.post("/environments/create", {**values, **factories.LIMITS, **asked})
    assert answer.status_code == 302, answer.content.decode()
    made = Environment.objects.get().intent["app"]
    assert (made["tmpfs"], made["hosts"], made["shm_mb"]) == (["/run", "/tmp"], {"db": "10.0.0.5"}, 32)
    health = made["health"]
    assert (health["http"], health["start_period"], health["action"]) == (
        {"port": 8080, "path": "/ready"},
        0,
        "restart",
    )
    assert made["logs"] == {"to": "syslog+udp://10.0.0.9", "tag": ""}

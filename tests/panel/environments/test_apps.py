"""Apps: asked for by image, told to the node with how its registry is asked, shown with what that led to."""

from typing import Any

import pytest
from django.test import Client

from panel.audit.models import AuditRecord
from panel.environments import services as environments
from panel.environments.models import Environment
from panel.environments.observe import observe
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

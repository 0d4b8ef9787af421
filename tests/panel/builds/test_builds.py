"""Builds in the panel: what a node is asked, who may, and what becomes of how it ended."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from panel.audit.models import AuditRecord
from panel.builds.models import Build, BuildSource
from panel.jobs.models import Job
from panel.operations.models import Operation, OperationState
from panel.registries import own
from panel.registries.models import Registry
from panel.repositories.tokens import Asking
from panel.tenants.models import Tenant
from runtime.contract import JobOutcome
from runtime.contract.build import BuildApp, BuildSecrets, Built, DropBuilds
from tests.panel.builds.conftest import GIT, KEY, added, call
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def work_of(build: dict[str, Any]) -> BuildApp:
    work = Job.objects.get(pk=build["operation"]).asked.work
    assert isinstance(work, BuildApp)
    return work


def test_its_node_is_asked_with_what_is_secret_locked(tenant: Tenant) -> None:
    Registry.objects.create(tenant=None, host="git.example.org", inward=True)
    made = added(tenant, token="of-the-forge", secrets={"npm": "of-the-build"}, args={"A": "1"}, folder="app")
    assert (made["has_token"], made["secrets"]) == (True, ["npm"])
    answer = call(tenant, "post", f"/{made['id']}/run", {"tag": "2"})
    assert answer.status_code == 202, answer.content
    work = work_of(answer.json())
    assert work.git is not None
    assert (work.git.url, work.git.inward, work.git.insecure) == (GIT["url"], True, False)
    assert (work.folder, work.args) == ("app", {"A": "1"})
    assert work.app.image == f"{own.host()}/{tenant.slug}/web:2"
    told = str(Job.objects.values_list("spec", flat=True).get()) + answer.content.decode()
    assert not [one for one in ("of-the-forge", "of-the-build") if one in told]
    opened = BuildSecrets.opened(work.secrets, work.build_id, key=KEY)
    assert (opened.token, opened.secrets) == ("of-the-forge", {"npm": "of-the-build"})
    assert own.read_pass(opened.push.password) == (f"{tenant.slug}/web", True)
    mine = next(one.access for one in opened.registries if one.host == own.host())
    assert own.read_pass(mine.password) == (own.ALL, False)
    with pytest.raises(ValueError, match="opened"):
        BuildSecrets.opened(work.secrets, work.source_id, key=KEY)
    row = BuildSource.objects.get()
    assert "of-the" not in row.given
    assert "of-the" not in str(list(AuditRecord.objects.values_list("after", flat=True)))


def test_a_pass_for_all_pulls_what_its_tenant_and_those_above_have(tenant: Tenant) -> None:
    below, other = factories.tenant(parent=tenant), factories.tenant()
    asking = Asking(own.NODE, repository=own.ALL, chain=tuple(below.chain))
    assert asking.may(f"{tenant.slug}/x", tenant) == {"pull"}
    assert asking.may(f"{below.slug}/x", below) == {"pull"}
    assert asking.may(f"{other.slug}/x", other) == set()
    assert Asking(own.NODE, repository=own.ALL, chain=(tenant.pk,)).may(f"{below.slug}/x", below) == set()


def test_what_was_built_is_shown_with_its_digest(tenant: Tenant) -> None:
    made = added(tenant)
    build = call(tenant, "post", f"/{made['id']}/run").json()
    operation = Operation.objects.get(pk=build["operation"])
    digest = f"sha256:{'a' * 64}"
    factories.job_reported(operation, JobOutcome.SUCCEEDED, built=Built(digest=digest, commit="b" * 40))
    seen = call(tenant, "get", f"/{made['id']}/runs/1").json()
    assert (seen["state"], seen["digest"], seen["commit"]) == ("succeeded", digest, "b" * 40)
    assert seen["reference"] == f"{own.host()}/{tenant.slug}/web@{digest}"
    page = Client()
    page.force_login(factories.member(tenant, "operator").user)
    assert "Run it" in page.get(f"/builds/{made['id']}").content.decode()
    assert digest in page.get(f"/builds/{made['id']}/runs/1").content.decode()
    offered = page.get(f"/environments/create?kind=app&image={seen['reference']}")
    assert offered.status_code == 200
    assert seen["reference"] in offered.content.decode()


def test_cancel_retry_and_removal(tenant: Tenant) -> None:
    made = added(tenant)
    build = call(tenant, "post", f"/{made['id']}/run").json()
    assert call(tenant, "delete", f"/{made['id']}").status_code == 409
    headers = factories.bearer(factories.member(tenant, "owner"), tenant, role="operator")

    def asked(operation: str, what: str) -> Any:
        url = f"/api/v1/operations/{operation}/{what}"
        return Client().post(url, content_type="application/json", headers=headers)

    assert asked(build["operation"], "cancel").status_code in (200, 202)
    operation = Operation.objects.get(pk=build["operation"])
    factories.job_reported(operation, JobOutcome.CANCELLED)
    assert Build.objects.get().operation.state == OperationState.CANCELLED
    second = call(tenant, "post", f"/{made['id']}/run").json()
    factories.job_reported(
        Operation.objects.get(pk=second["operation"]), JobOutcome.FAILED, code="build_failed"
    )
    again = asked(second["operation"], "retry")
    assert again.status_code == 202, again.content
    factories.job_reported(Operation.objects.get(pk=again.json()["id"]), JobOutcome.FAILED, code="x")
    assert call(tenant, "delete", f"/{made['id']}").status_code == 204
    assert isinstance(Job.objects.get(operation__kind="delete").asked.work, DropBuilds)
    assert not BuildSource.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "../x"}, "name"),
        ({"name": "X"}, "name"),
        ({"git": {"url": "file:///etc"}}, "git.url"),
        ({"git": {"url": "ext::sh -c id"}}, "git.url"),
        ({"git": {"url": "--upload-pack=id"}}, "git.url"),
        ({"git": {"url": "https://u:p@host/x.git"}}, "git.url"),
        ({"git": {**GIT, "branch": "--x"}}, "git.branch"),
        ({"git": {**GIT, "branch": "a..b"}}, "git.branch"),
        ({"folder": "../x"}, "folder"),
        ({"folder": "/etc"}, "folder"),
        ({"dockerfile": "a/../../b"}, "dockerfile"),
        ({"args": {"a b": "1"}}, "args.a b.[key]"),
        ({"secrets": {"../x": "1"}}, "secrets.../x.[key]"),
        ({"tag": "a b"}, "tag"),
        ({"timeout_s": 5}, "timeout_s"),
    ],
)
def test_odd_ones_are_refused(tenant: Tenant, body: dict[str, Any], field: str) -> None:
    answer = call(tenant, "post", "", {"tenant": str(tenant.pk), "name": "web", "git": GIT, **body})
    assert (answer.status_code, answer.json().get("field")) == (422, field), answer.content
    assert not BuildSource.objects.exists()


def test_who_may_not_and_what_cannot(tenant: Tenant, home: Path) -> None:
    body = {"tenant": str(tenant.pk), "name": "web"}
    assert call(tenant, "post", "", body, "viewer").status_code == 403
    made = call(tenant, "post", "", body).json()
    assert call(tenant, "post", "", body).json()["code"] == "name_taken"
    assert call(tenant, "post", f"/{made['id']}/run", role="viewer").status_code == 403
    nothing = call(tenant, "post", f"/{made['id']}/run")
    assert (nothing.status_code, nothing.json()["field"]) == (422, "dockerfile_text")
    assert call(tenant, "post", f"/{made['id']}/webhook").json()["code"] == "no_git"
    other = factories.tenant()
    assert call(other, "get", f"/{made['id']}").status_code == 404
    for key in (home / "etc" / "nodes").iterdir():
        key.unlink()
    refused = call(tenant, "post", f"/{made['id']}/run", {"dockerfile_text": "FROM scratch\n"})
    assert refused.json()["code"] == "no_builder"
    assert not Build.objects.exists()


def test_a_change_lays_over_and_takes_secrets_out(tenant: Tenant) -> None:
    made = added(tenant, token="one", secrets={"a": "x", "b": "y"})
    body = {"secrets": {"a": None, "c": "z"}, "git": {"branch": "next"}}
    changed = call(tenant, "patch", f"/{made['id']}", body).json()
    assert (changed["secrets"], changed["has_token"]) == (["b", "c"], True)
    assert changed["git"]["branch"] == "next"
    assert changed["git"]["url"] == GIT["url"]

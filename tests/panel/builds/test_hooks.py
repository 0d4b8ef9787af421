"""What a forge tells of a push: who is believed, what is built, and what is refused."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from django.test import Client

from panel.builds import hooks
from panel.builds.jobs import deploy
from panel.builds.models import Build, BuildSource
from panel.operations.models import Operation
from panel.registries import own
from panel.stages.models import Rollout
from panel.stages.services import add_stage
from panel.tenants.models import Tenant
from runtime.contract import JobOutcome
from runtime.contract.build import Built
from tests.panel.builds.conftest import added, call
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def push(branch: str = "main", commit: str = "c" * 40) -> bytes:
    return json.dumps({"ref": f"refs/heads/{branch}", "before": "0" * 40, "after": commit}).encode()


def signed(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.fixture
def hooked(tenant: Tenant) -> tuple[str, str]:
    """Its address and its secret."""
    made = added(tenant)
    told = call(tenant, "post", f"/{made['id']}/webhook").json()
    assert told["secret"] not in BuildSource.objects.get().hook
    return f"/hooks/builds/{made['id']}", told["secret"]


def send(hooked: tuple[str, str], body: bytes, **headers: str) -> Any:
    return Client().post(hooked[0], body, content_type="application/json", headers=headers)


@pytest.mark.parametrize("forge", ["github", "gitea", "gitlab", "token", "bearer"])
def test_a_push_of_the_branch_builds(hooked: tuple[str, str], forge: str) -> None:
    body, secret = push(), hooked[1]
    headers = {
        "github": {"X-Hub-Signature-256": f"sha256={signed(secret, body)}", "X-GitHub-Event": "push"},
        "gitea": {"X-Gitea-Signature": signed(secret, body), "X-Gitea-Event": "push"},
        "gitlab": {"X-Gitlab-Token": secret, "X-Gitlab-Event": "Push Hook"},
        "token": {"X-Wadah-Token": secret},
        "bearer": {"Authorization": f"Bearer {secret}"},
    }[forge]
    answer = send(hooked, body, **headers)
    assert answer.status_code == 202, answer.content
    assert Build.objects.get().pushed == "c" * 40
    again = send(hooked, body, **headers, **({"X-GitHub-Delivery": "another"} if forge == "github" else {}))
    assert (again.status_code, again.json()["code"]) == (409, "replayed")
    assert Build.objects.count() == 1


def test_who_is_not_believed(hooked: tuple[str, str]) -> None:
    body, secret = push(), hooked[1]
    wrong = signed("another", body)
    for headers in (
        {},
        {"X-Hub-Signature-256": f"sha256={wrong}"},
        {"X-Hub-Signature-256": wrong, "X-Gitlab-Token": secret},
        {"X-Hub-Signature-256": signed(secret, body)},
        {"X-Gitea-Signature": ""},
        {"X-Gitlab-Token": ""},
        {"X-Gitlab-Token": "é"},
        {"Authorization": f"Basic {secret}"},
    ):
        answer = send(hooked, body, **headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "bad_signature"), headers
    unknown = send(
        ("/hooks/builds/00000000-0000-4000-8000-000000000000", ""), body, **{"X-Wadah-Token": secret}
    )
    assert unknown.status_code == 404
    assert not Build.objects.exists()


def test_what_builds_nothing(hooked: tuple[str, str]) -> None:
    token = {"X-Wadah-Token": hooked[1]}
    for body, more in (
        (push("other"), {}),
        (push(commit="0" * 40), {}),
        (push(), {"X-GitHub-Event": "ping"}),
        (b'{"ref": "refs/tags/v1"}', {}),
    ):
        answer = send(hooked, body, **token, **more)
        assert (answer.status_code, answer.json()["build"]) == (200, None), answer.content
    for body in (b"[1]", b"{", b"[" * 100_000):
        assert send(hooked, body, **token).status_code == 422
    long = send(hooked, b" " * (hooks.MOST_BYTES + 1), **token)
    assert (long.status_code, long.json()["code"]) == (413, "too_long")
    assert Client().get(hooked[0]).status_code == 405
    assert not Build.objects.exists()


def test_many_pushes_wait_as_one(hooked: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    token = {"X-Wadah-Token": hooked[1]}
    for number in range(5):
        answer = send(hooked, push(commit=f"{number:040x}".replace("0", "a")), **token)
        assert answer.status_code in (200, 202)
    assert Build.objects.count() == 2
    monkeypatch.setattr(hooks, "MOST_A_MINUTE", 5)
    assert send(hooked, push(), **token).status_code == 429


def test_by_the_rights_of_who_made_it(hooked: tuple[str, str], tenant: Tenant) -> None:
    BuildSource.objects.get().changed_by.memberships.all().delete()  # type: ignore[union-attr]
    answer = send(hooked, push(), **{"X-Wadah-Token": hooked[1]})
    assert answer.status_code == 404
    BuildSource.objects.update(changed_by=None)
    assert send(hooked, push(), **{"X-Wadah-Token": hooked[1]}).json()["code"] == "nobody"
    assert not Build.objects.exists()


def test_what_a_push_built_goes_into_its_stage(tenant: Tenant) -> None:
    root = factories.administrator()
    copy = factories.environment(tenant, kind="app", image="docker.io/library/web:1")
    stage = add_stage(root, tenant, line="shop", name="test", environments=[copy])
    made = added(tenant)
    to_stage = {"stage": str(stage.pk)}
    assert call(tenant, "patch", f"/{made['id']}", to_stage).status_code == 403, "that is another right"
    assert call(tenant, "patch", f"/{made['id']}", to_stage, "administrator").status_code == 200
    assert call(tenant, "patch", f"/{made['id']}", {"folder": "x"}).status_code == 403
    secret = call(tenant, "post", f"/{made['id']}/webhook", role="administrator").json()["secret"]
    assert send((f"/hooks/builds/{made['id']}", ""), push(), **{"X-Wadah-Token": secret}).status_code == 202
    build = Build.objects.get()
    digest = f"sha256:{'d' * 64}"
    operation = Operation.objects.get(pk=build.operation_id)
    factories.job_reported(operation, JobOutcome.SUCCEEDED, built=Built(digest=digest, commit="c" * 40))
    deploy(build.pk)
    assert Rollout.objects.get().image == f"{own.host()}/{tenant.slug}/web@{digest}"
    deploy(build.pk)
    build.refresh_from_db()
    assert build.deployed, "one is under way, which is told"


@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "multipart/form-data", "multipart/mixed"])
def test_a_form_with_parts_is_refused_with_a_sentence(hooked: tuple[str, str], kind: str) -> None:
    """It was read on its way, so that its signature can't be looked at any more."""
    body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'
    answer = Client().post(hooked[0], body, content_type=kind, headers={"X-Gitlab-Token": hooked[1]})
    assert answer.status_code in (400, 415), answer.content[:200]
    assert not Build.objects.exists()

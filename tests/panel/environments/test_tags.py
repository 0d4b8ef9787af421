"""Tags: given with an environment or later, to one or many; found by page and API; nobody else's."""

import pytest
from django.test import Client

from panel.audit.models import AuditRecord
from panel.environments import services
from panel.environments.selectors import tags_in_use
from panel.errors import Forbidden, Invalid
from panel.operations.models import Operation
from tests.panel.support import factories
from tests.panel.support.pages import listed, signed_in

pytestmark = pytest.mark.django_db
JSON = "application/json"


def test_given_with_it_changed_later_and_shown() -> None:
    factories.node()
    tenant = factories.tenant()
    client = signed_in(factories.member(tenant).user)
    body = {"name": "web-1", "image": "busybox", "limits": factories.LIMITS, "tags": ["web", "blue", "web"]}
    made = client.post("/api/v1/environments", body, JSON).json()
    assert made["tags"] == ["blue", "web"]
    operations = Operation.objects.count()
    changed = client.patch(f"/api/v1/environments/{made['id']}", {"tags": ["web", "prod"]}, JSON).json()
    assert changed["tags"] == ["prod", "web"]
    assert changed["operation"] is None
    assert Operation.objects.count() == operations
    last = AuditRecord.objects.filter(action="environment.tags").latest("pk")
    assert (last.before, last.after) == ({"tags": ["blue", "web"]}, {"tags": ["prod", "web"]})


def test_the_list_and_the_api_are_filtered_by_them() -> None:
    factories.node()
    tenant = factories.tenant()
    owner = factories.member(tenant)
    web = factories.environment(tenant, owner, name="web-1", tags=["web"])
    other = factories.environment(tenant, owner, name="db-1", tags=["db"])
    page = signed_in(owner.user).get("/environments/?tag=web").content.decode()
    assert f"row-{web.pk}" in page
    # its name may be a part of any id on the page
    assert f"row-{other.pk}" not in page
    assert '<option value="db">' in page
    found = signed_in(owner.user).get("/api/v1/environments?tag=web").json()
    assert [one["name"] for one in found["items"]] == ["web-1"]


def test_words_of_others_are_not_offered() -> None:
    factories.node()
    one, other = factories.tenant(), factories.tenant()
    factories.environment(one, tags=["secret-project"])
    factories.environment(other, tags=["mine"])
    owner = factories.member(other)
    assert tags_in_use(owner, None) == ["mine"]
    assert "secret-project" not in listed(owner.user)
    assert signed_in(owner.user).get("/api/v1/environments?tag=secret-project").json()["count"] == 0


def test_many_at_once_from_the_list() -> None:
    factories.node()
    tenant = factories.tenant()
    owner = factories.member(tenant)
    rows = [factories.environment(tenant, owner, tags=["old"]) for _ in range(2)]
    client = signed_in(owner.user)
    chosen = [str(row.pk) for row in rows]
    client.post("/environments/bulk", {"action": "tag", "tags": "new, blue", "id": chosen})
    client.post("/environments/bulk", {"action": "untag", "tags": "old", "id": chosen})
    assert tags_in_use(owner, None) == ["blue", "new"]
    answer = client.post("/environments/bulk", {"action": "tag", "tags": "Not!", "id": chosen}, follow=True)
    assert "Not! is no tag" in answer.content.decode()


def test_bad_words_are_refused_beside_their_field() -> None:
    factories.node()
    tenant = factories.tenant()
    owner = factories.member(tenant)
    row = factories.environment(tenant, owner)
    with pytest.raises(Invalid) as refused:
        services.update_environment(owner, row.pk, {"tags": ["UPPER"]})
    assert refused.value.field == "tags"
    with pytest.raises(Invalid, match="at most 20 tags"):
        services.update_environment(owner, row.pk, {"tags": [f"t{n}" for n in range(21)]})
    client = signed_in(owner.user)
    page = client.post(f"/environments/{row.pk}/settings/general", {"name": row.name, "tags": "-x"})
    assert page.status_code == 422
    assert 'name="tags" value="-x"' in page.content.decode()
    with pytest.raises(Forbidden):
        services.tag_environment(factories.member(tenant, "viewer"), row.pk, add=["x"])
    assert not row.tags.exists()


def test_of_a_deleted_one_nothing_is_offered(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    owner = factories.member(tenant)
    row = factories.environment(tenant, owner, tags=["gone"])
    services.delete_environment(owner, row.pk)
    factories.gone(row)
    assert tags_in_use(owner, None) == []

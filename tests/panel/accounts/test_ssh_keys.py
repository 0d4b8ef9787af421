"""SSH keys of a person: kept on the profile page and by the API, offered where an environment gets its keys."""

import pytest
from django.test import Client

from panel.accounts.models import SshKey
from panel.accounts.ssh_keys import add_ssh_key, remove_ssh_key
from panel.audit.models import AuditRecord
from panel.environments.models import Environment
from panel.errors import Conflict, Invalid, NotFound
from panel.rights.actor import Actor
from tests.panel.security.world import SSH_KEY
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
#: Of SSH_KEY, by `ssh-keygen -lf`.
_FINGERPRINT = "SHA256:7V5jW8bM9rEGYc7pVNOT7SQyHP1vcMiE/KdCtYSzrAY"


def signed_in(actor: Actor) -> Client:
    client = Client()
    client.force_login(actor.user, "allauth.account.auth_backends.AuthenticationBackend")
    return client


def test_kept_and_removed_on_the_profile_page() -> None:
    owner = factories.member(factories.tenant())
    client = signed_in(owner)
    bad = client.post("/profile/ssh-keys", {"text": "ssh-rsa nonsense"})
    assert bad.status_code == 422
    assert "base64" in bad.content.decode()
    assert client.post("/profile/ssh-keys", {"text": SSH_KEY}).status_code == 302
    row = SshKey.objects.get(user=owner.user)
    assert row.name == "me@example"
    page = client.get("/profile/").content.decode()
    assert row.fingerprint == _FINGERPRINT
    assert _FINGERPRINT in page
    assert client.post("/profile/ssh-keys", {"text": SSH_KEY}).status_code == 409
    client.post(f"/profile/ssh-keys/{row.pk}/remove")
    assert not SshKey.objects.exists()
    actions = AuditRecord.objects.filter(action__startswith="ssh_key").values_list("action", flat=True)
    assert list(actions.order_by("pk")) == ["ssh_key.add", "ssh_key.remove"]


def test_another_s_key_is_not_there() -> None:
    mine, theirs = factories.member(factories.tenant()), factories.member(factories.tenant())
    row = add_ssh_key(theirs, text=SSH_KEY)
    with pytest.raises(NotFound):
        remove_ssh_key(mine, row.pk)
    assert signed_in(mine).get("/api/v1/ssh-keys").json()["count"] == 0
    with pytest.raises(Invalid, match="Paste one"):
        add_ssh_key(mine, text="  ")
    add_ssh_key(mine, text=SSH_KEY)
    with pytest.raises(Conflict):
        add_ssh_key(mine, text=f"{SSH_KEY} again")


def test_a_token_for_some_things_does_not_change_them(client: Client) -> None:
    tenant = factories.tenant()
    owner = factories.member(tenant)
    headers = factories.bearer(owner, tenant, role="owner")
    answer = client.post("/api/v1/ssh-keys", {"text": SSH_KEY}, "application/json", headers=headers)
    assert answer.status_code == 403
    assert not SshKey.objects.exists()


def test_offered_for_a_new_environment_and_for_one_that_is_there() -> None:
    factories.node()
    tenant = factories.tenant()
    owner = factories.member(tenant)
    key = add_ssh_key(owner, text=SSH_KEY, name="laptop")
    client = signed_in(owner)
    page = client.get("/environments/create").content.decode()
    assert f'value="{key.pk}"' in page and "laptop" in page
    form = {"name": "web-1", "image": "busybox", "tenant": tenant.slug, "kind": "system", "kernel": "shared"}
    form |= {**factories.LIMITS, "processes": 100, "saved_keys": str(key.pk)}
    assert client.post("/environments/create", form).status_code == 302
    row = Environment.objects.get(name="web-1")
    assert row.ssh_keys == [SSH_KEY]
    assert row.root_password_hash == ""
    factories.reported(row)

    assert "Your saved keys" not in client.get(f"/environments/{row.pk}/settings").content.decode()
    client.post(f"/environments/{row.pk}/settings/keys", {"ssh_keys": ""})
    row.refresh_from_db()
    assert row.ssh_keys == []
    assert "Your saved keys" in client.get(f"/environments/{row.pk}/settings").content.decode()
    client.post(f"/environments/{row.pk}/settings/keys", {"ssh_keys": "", "saved_keys": str(key.pk)})
    row.refresh_from_db()
    assert row.ssh_keys == [SSH_KEY]


def test_somebody_else_s_saved_key_is_refused_beside_the_boxes() -> None:
    factories.node()
    tenant = factories.tenant()
    owner = factories.member(tenant)
    add_ssh_key(owner, text=SSH_KEY)
    foreign = SshKey.objects.create(user=factories.person(), name="x", text="x", fingerprint="x")
    form = {"name": "web-1", "image": "busybox", "tenant": tenant.slug, "kind": "system", "kernel": "shared"}
    form |= {**factories.LIMITS, "processes": 100, "saved_keys": str(foreign.pk)}
    assert signed_in(owner).post("/environments/create", form).status_code == 422
    assert not Environment.objects.exists()

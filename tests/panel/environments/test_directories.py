"""Directories: asked for by a profile; what they have not is refused with a sentence and not shown."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from panel.environments import services as environments
from panel.environments.models import Environment
from panel.environments.services import power
from panel.environments.specs import spec_of
from panel.errors import Conflict, Invalid
from panel.networks.addresses import add_addresses
from panel.networks.forwards import add_forward
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from runtime.contract import DIRECTORY_IMAGE, Kind, Profile
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.APP, Kind.DIRECTORY))
    return factories.tenant()


@pytest.fixture
def owner(tenant: Tenant) -> Actor:
    return factories.member(tenant)


def directory(tenant: Tenant, **fields: Any) -> Environment:
    return factories.environment(tenant, kind="directory", image="", **fields)


def settled(tenant: Tenant) -> Environment:
    row = directory(tenant)
    factories.reported(row)
    return Environment.objects.get(pk=row.pk)


def test_it_is_asked_for_by_a_profile_and_nothing_else(client: Client, tenant: Tenant, owner: Actor) -> None:
    bearer = factories.bearer(owner, tenant, role="owner")
    body = {"name": "files", "kind": "directory", "directory": {"profile": "sftp"}}
    answer = client.post("/api/v1/environments", body, content_type="application/json", headers=bearer)
    assert answer.status_code == 202, answer.content
    said = answer.json()
    assert (said["kind"], said["image"], said["directory"]["profile"]) == ("directory", "directory", "sftp")
    assert said["addresses"] == []
    row = Environment.objects.get()
    spec = spec_of(row)
    assert (spec.kind, spec.image) == (Kind.DIRECTORY, DIRECTORY_IMAGE)
    assert spec.directory is not None
    assert spec.directory.profile is Profile.SFTP
    assert row.root_password_hash == ""


def test_without_a_word_it_is_a_shell(tenant: Tenant) -> None:
    spec = spec_of(directory(tenant))
    assert spec.directory is not None
    assert spec.directory.profile is Profile.SHELL


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"directory": {"profile": "ftp"}}, "directory.profile"),
        ({"directory": {"none": 1}}, "directory.none"),
        ({"directory": {"programs": ["../../etc"]}}, "directory.programs.0"),
        ({"image": "debian-12"}, "image"),
        ({"rescue": "online"}, "rescue"),
        ({"security": {"nesting": True}}, "security"),
        ({"devices": ["/dev/fuse"]}, "devices"),
        ({"network": {"nameservers": ["9.9.9.9"]}}, "network"),
        ({"restart": {"mode": "never"}}, "restart"),
        ({"app": {}}, "app"),
    ],
)
def test_what_can_not_be_asked(tenant: Tenant, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        factories.environment(tenant, kind="directory", **{"image": "", **fields})
    assert refused.value.field == field
    assert not Environment.objects.exists()


@pytest.mark.parametrize("fields", [{"ipv4": 1}, {"root_password": "a long password"}, {"ssh_keys": ["x"]}])
def test_it_has_neither_addresses_nor_accounts(tenant: Tenant, fields: dict[str, Any]) -> None:
    with pytest.raises(Conflict) as refused:
        directory(tenant, **fields)
    assert refused.value.code == "not_of_this_kind"


def test_others_take_no_profile_and_say_what_they_are_made_from(tenant: Tenant) -> None:
    with pytest.raises(Invalid, match="only an environment of kind directory"):
        factories.environment(tenant, directory={"profile": "git"})
    with pytest.raises(Invalid, match="Name an image"):
        factories.environment(tenant, image="")


def test_what_it_has_not_is_refused_with_a_sentence(tenant: Tenant, owner: Actor) -> None:
    row = settled(tenant)
    for ask in (
        lambda: add_addresses(owner, row.pk),
        lambda: add_forward(owner, row.pk, port=22),
        lambda: power.rescue(owner, row.pk),
        lambda: environments.set_credentials(owner, row.pk, root_password=""),
    ):
        with pytest.raises(Conflict) as refused:
            ask()
        assert refused.value.code == "not_of_this_kind"
        assert "directory" in refused.value.message


def test_its_console_is_none_and_a_reinstall_needs_no_image(
    client: Client, tenant: Tenant, owner: Actor
) -> None:
    row = settled(tenant)
    bearer = factories.bearer(owner, tenant, role="owner")
    log = client.get(f"/api/v1/environments/{row.pk}/console/log", headers=bearer)
    assert (log.status_code, log.json()["code"]) == (409, "not_of_this_kind")
    changed = environments.reinstall(owner, row.pk)
    assert changed.root_password is None
    assert changed.environment.image == DIRECTORY_IMAGE


def test_pages_show_what_it_has_alone(client: Client, tenant: Tenant, owner: Actor) -> None:
    row = settled(tenant)
    client.force_login(owner.user)
    asked = client.get("/environments/create?kind=directory").content.decode()
    for shown in ("directory.profile", "a tree that\n", "Further programs"):
        assert shown.strip() in asked
    for hidden in ("id_ssh_keys", 'id="images"', "/dev/fuse"):
        assert hidden not in asked
    overview = client.get(reverse("environment", args=[row.pk])).content.decode()
    assert "Not protected from" in overview
    for hidden in ("Port forwards", "Rescue system", reverse("environment-network", args=[row.pk])):
        assert hidden not in overview
    settings = client.get(reverse("environment-settings", args=[row.pk])).content.decode()
    for hidden in ("restart.mode", "security.nesting", "id_root_password", "id_ssh_keys"):
        assert hidden not in settings
    console = client.get(reverse("environment-console", args=[row.pk])).content.decode()
    assert "data-no-console" in console
    body = {"name": "mine", "kind": "directory", "kernel": "shared", "directory.profile": "git"}
    more = {"tenant": tenant.slug, "cpu": 1, "memory_mb": 64, "disk_mb": 64}
    answer = client.post("/environments/create?kind=directory", {**body, **more})
    assert answer.status_code == 302
    made = Environment.objects.get(name="mine").wanted.directory
    assert made is not None
    assert made.profile is Profile.GIT

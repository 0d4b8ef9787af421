"""Jails: asked for in jail's words, told to the node, shown with what is open and what never is."""

from typing import Any

import pytest
from django.test import Client

from panel.environments import services as environments
from panel.environments.models import Environment
from panel.environments.specs import spec_of
from panel.errors import Forbidden, Invalid
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from runtime.contract import Allow, Base, DesiredState, Device, JailOptions, Kind
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.JAIL))
    return factories.tenant()


def jail(tenant: Tenant, actor: Actor | None = None, **fields: Any) -> Environment:
    return factories.environment(tenant, actor, kind="jail", is_running=False, **fields)


def test_nothing_is_open_and_its_base_is_shared_unless_said_otherwise(tenant: Tenant) -> None:
    spec = spec_of(jail(tenant))
    assert spec.kind is Kind.JAIL
    assert spec.jail == JailOptions()
    assert spec.jail is not None
    assert (spec.jail.allow, spec.jail.children_max, spec.jail.base) == ((), 0, Base.THIN)


@pytest.mark.parametrize(
    "asked",
    [
        {"allow": ["mount.tmpfs", "mount"]},
        {"allow": {"mount": True, "mount.tmpfs": True, "sysvipc": False}},
        {"allow.mount": True, "allow.mount.tmpfs": True},
    ],
)
def test_words_are_taken_as_a_list_or_as_jail_conf_has_them(tenant: Tenant, asked: dict[str, Any]) -> None:
    spec = spec_of(jail(tenant, jail=asked))
    assert spec.jail is not None
    assert spec.jail.allow == (Allow.MOUNT, Allow.MOUNT_TMPFS)


def test_a_change_lays_words_over_those_that_are(tenant: Tenant) -> None:
    root = factories.administrator()
    row = jail(tenant, jail={"allow": ["raw_sockets"], "command": ["/bin/httpd", "-f"]})
    environments.update_environment(root, row.pk, {"jail": {"allow.sysvipc": True}})
    row.refresh_from_db()
    assert row.wanted.jail == JailOptions(
        allow=(Allow.RAW_SOCKETS, Allow.SYSVIPC), command=("/bin/httpd", "-f")
    )
    environments.update_environment(root, row.pk, {"jail": {"allow": [], "command": []}})
    row.refresh_from_db()
    assert row.wanted.jail == JailOptions()


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        ({"allow": ["chflags"]}, "jail.allow", "host's own root"),
        ({"allow": ["quotas"]}, "jail.allow", "no quotas of users"),
        ({"allow": ["mount.zfs"]}, "jail.allow", "no ZFS"),
        ({"allow": ["everything"]}, "jail.allow", "no word"),
        ({"allow": "raw_sockets"}, "jail.allow", "list of words"),
        ({"allow": {"raw_sockets": "yes"}}, "jail.allow", "true or false"),
        ({"allow": [["x"]]}, "jail.allow", "no word"),
        ({"allow": ["mount.tmpfs"]}, "jail", "without mount"),
        ({"children_max": 101}, "jail.children_max", ""),
        ({"children_max": -1}, "jail.children_max", ""),
        ({"base": "fat"}, "jail.base", ""),
        ({"command": "/bin/sh"}, "jail.command", ""),
        ({"none": 1}, "jail.none", ""),
    ],
)
def test_what_can_not_be_asked(tenant: Tenant, asked: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(Invalid) as refused:
        jail(tenant, jail=asked)
    assert refused.value.field == field
    assert said in str(refused.value)
    assert not Environment.objects.exists()


def test_nothing_else_takes_options_of_a_jail(tenant: Tenant) -> None:
    with pytest.raises(Invalid) as refused:
        factories.environment(tenant, jail={})
    assert refused.value.field == "jail"
    row = factories.environment(tenant)
    with pytest.raises(Invalid):
        environments.update_environment(factories.administrator(), row.pk, {"jail": {"allow": []}})


def test_an_empty_one_has_no_image_and_is_made_stopped(tenant: Tenant) -> None:
    row = jail(tenant, image="", jail={"base": "empty"})
    assert (row.image, row.desired_state) == ("empty", DesiredState.STOPPED)
    assert spec_of(row).image == "empty"
    for fields in ({"image": "busybox", "jail": {"base": "empty"}}, {"image": ""}):
        with pytest.raises(Invalid) as refused:
            jail(tenant, **fields)
        assert refused.value.field == "image"
    with pytest.raises(Invalid):
        factories.environment(tenant, image="")


def test_its_base_is_chosen_once(tenant: Tenant) -> None:
    row = jail(tenant)
    with pytest.raises(Invalid) as refused:
        environments.update_environment(factories.administrator(), row.pk, {"jail": {"base": "thick"}})
    assert refused.value.field == "jail.base"


def test_containers_inside_are_the_providers_decision(tenant: Tenant) -> None:
    owner = factories.member(tenant)
    with pytest.raises(Forbidden):
        jail(tenant, owner, jail={"children_max": 2})
    row = jail(tenant, jail={"children.max": 2})
    assert row.wanted.jail is not None
    assert row.wanted.jail.children_max == 2
    environments.update_environment(owner, row.pk, {"jail": {"allow": ["raw_sockets"]}})
    environments.update_environment(owner, row.pk, {"jail": {"children_max": 1}})
    with pytest.raises(Forbidden):
        environments.update_environment(owner, row.pk, {"jail": {"children_max": 2}})


def test_mount_fuse_takes_the_device_that_its_plan_or_an_administrator_gives(tenant: Tenant) -> None:
    words = {"allow": ["mount", "mount.fuse"]}
    with pytest.raises(Invalid) as refused:
        jail(tenant, factories.member(tenant), jail=words)
    assert refused.value.field == "devices"
    assert jail(tenant, jail=words).wanted.all_devices == (Device.FUSE,)


def test_api_and_pages_show_what_is_open_and_what_stays(tenant: Tenant, client: Client) -> None:
    row = jail(tenant, jail={"allow": ["raw_sockets"]})
    client.force_login(factories.administrator().user)
    shown = client.get(f"/api/v1/environments/{row.pk}").json()
    assert shown["jail"]["allow"] == ["raw_sockets"]
    assert (shown["enforce_statfs"], shown["securelevel"]) == (2, 3)
    page = client.get(f"/environments/{row.pk}/settings").content.decode()
    assert 'name="jail.allow.raw_sockets"' in page
    data = {"jail.allow.mlock": "on"}
    assert client.post(f"/environments/{row.pk}/settings/walls", data).status_code == 302
    row.refresh_from_db()
    assert row.wanted.jail is not None
    assert row.wanted.jail.allow == (Allow.MLOCK,)
    new = client.get("/environments/create?kind=jail").content.decode()
    assert "for whoever wants many small, walled services" in " ".join(new.split())
    assert 'name="jail.allow.suser"' in new
    made = {
        "name": "web",
        "image": "busybox",
        "kind": "jail",
        "kernel": "shared",
        "plan": "",
        "tenant": tenant.slug,
    }
    made |= {"cpu": "1", "memory_mb": "64", "disk_mb": "64", "processes": "64", "jail.base": "thin"}
    made |= {"jail.command": "/bin/httpd -f", "jail.allow.suser": "on"}
    assert client.post("/environments/create", made).status_code == 302
    web = Environment.objects.get(name="web")
    assert web.wanted.jail == JailOptions(allow=(Allow.SUSER,), command=("/bin/httpd", "-f"))

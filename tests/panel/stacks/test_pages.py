"""Pages of stacks: a file brought and refused by line, the picture, a change looked at first, the catalogue."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from panel.stacks import services
from panel.stacks.compose import Source, read
from panel.stacks.models import Stack, Wanted
from panel.stacks.picture import BOX_HEIGHT, picture_of
from panel.stacks.services import Asked
from panel.tenants.models import Tenant
from runtime.contract import Kind
from tests.panel.support import factories

_BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
_SHOP = """services:
  web: {image: "shop:1", depends_on: [db, cache]}
  cache: {image: "redis:7", depends_on: {db: {condition: service_healthy}}}
  db: {image: "postgres:16", healthcheck: {test: ["CMD", "pg_isready"]}}
"""
_LIMITS = {"cpu": 0.5, "memory_mb": 64, "disk_mb": 128}


def test_a_picture_has_each_service_right_of_all_that_it_waits_for() -> None:
    picture = picture_of(read(Source(_SHOP)).services)
    x = {one.service.name: one.x for one in picture.boxes}
    assert x["db"] < x["cache"] < x["web"]
    assert sorted(one.is_dashed for one in picture.lines) == [False, False, True]
    assert len({(one.x, one.y) for one in picture.boxes}) == 3
    assert all(one.x < picture.width and one.y < picture.height for one in picture.boxes)
    assert picture_of([]).boxes == []


def test_a_line_goes_by_the_boxes_between() -> None:
    chain = "services:\n" + "".join(
        f"  {name}: {{image: a, depends_on: [{waits}]}}\n"
        for name, waits in (("a", ""), ("b", "a"), ("c", "b"), ("d", "c, a, b"), ("e", "b"))
    )
    picture = picture_of(read(Source(chain)).services)
    straight = [
        (int(x), int(y), end)
        for one in picture.lines
        for x, y, end in re.findall(r"([0-9]+) ([0-9]+) H([0-9]+)", one.path)
    ]
    assert len(straight) == 3, "from a by two columns and from b by one, to d"
    for x, y, _ in straight:
        assert all(one.y + BOX_HEIGHT < y < picture.height for one in picture.boxes if one.x == x)
    assert len(set(straight)) == 3, "none upon another"


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.APP))
    return factories.tenant(quota={"disk_mb": 10_000, "memory_mb": 4000})


@pytest.mark.django_db
def test_a_file_that_asks_for_too_much_is_refused_by_line_and_kept_in_its_field(
    client: Client, tenant: Tenant
) -> None:
    client.force_login(factories.member(tenant).user, _BACKEND)
    file = "services:\n  web:\n    image: shop:1\n    privileged: true\n"
    answer = client.post("/stacks/", {"name": "shop", "tenant": str(tenant.pk), "compose": file, "env": ""})
    text = answer.content.decode()
    assert answer.status_code == 422
    assert "Line 4" in text and "services.web.privileged" in text and "image: shop:1" in text
    assert not Stack.objects.exists()


@pytest.mark.django_db
def test_one_is_looked_at_changed_stopped_and_deleted(client: Client, tenant: Tenant) -> None:
    owner = factories.member(tenant)
    stack, _ = services.create_stack(
        owner, tenant, name="shop", asked=Asked(compose=_SHOP, limits=_LIMITS, env="A=secret-word")
    )
    client.force_login(owner.user, _BACKEND)
    place = f"/stacks/{stack.pk}/"
    text = client.get(place).content.decode()
    assert '<svg class="picture"' in text and "postgres:16" in text
    assert "secret-word" not in text
    changed = _SHOP.replace("redis:7", "redis:8")
    looked = client.post(place, {"compose": changed, "env": "", "preview": "1"}).content.decode()
    assert "shop-cache-1" in looked
    stack.refresh_from_db()
    assert stack.compose == _SHOP
    assert client.post(place, {"compose": changed, "env": ""}).status_code == 302
    stack.refresh_from_db()
    assert stack.compose == changed and "secret-word" in stack.values["env"]
    more = {
        "compose": changed + "  extra: {image: extra:1, profiles: [night], env_file: conf/extra.env}\n",
        "env": "",
        "profiles": "night",
        "scale": "cache=2",
        "folder": "./conf",
        "upload": SimpleUploadedFile("extra.env", b"KEY=told\n"),
    }
    assert client.post(place, {**more, "scale": "cache=many"}).status_code == 422
    more["upload"] = SimpleUploadedFile("extra.env", b"\xff")
    assert client.post(place, more).status_code == 422
    more["upload"] = SimpleUploadedFile("extra.env", b"KEY=told\n")
    answer = client.post(place, more)
    assert answer.status_code == 302, answer.content.decode()[-3000:]
    stack.refresh_from_db()
    assert (stack.profiles, stack.scale) == (["night"], {"cache": 2})
    assert stack.values["files"] == {"conf/extra.env": "KEY=told\n"}
    text = client.get(place).content.decode()
    assert "conf/extra.env" in text and "KEY=told" not in text and "cache=2" in text
    assert client.post(f"{place}rollback").status_code == 302
    stack.refresh_from_db()
    assert (stack.compose, stack.scale, stack.values["files"]) == (changed, {}, {})
    for verb, wanted in (("stop", Wanted.STOPPED), ("start", Wanted.RUNNING), ("delete", Wanted.DELETED)):
        assert client.post(f"{place}{verb}").status_code == 302
        stack.refresh_from_db()
        assert stack.wanted == wanted


@pytest.mark.django_db
def test_who_may_only_look_has_the_file_and_no_form(client: Client, tenant: Tenant) -> None:
    stack, _ = services.create_stack(
        factories.administrator(), tenant, name="shop", asked=Asked(compose=_SHOP, limits=_LIMITS)
    )
    client.force_login(factories.member(tenant, "viewer").user, _BACKEND)
    text = client.get(f"/stacks/{stack.pk}/").content.decode()
    assert "postgres:16" in text
    assert 'name="compose"' not in text
    assert client.post(f"/stacks/{stack.pk}/stop").status_code == 403


@pytest.mark.django_db
def test_an_entry_is_taken_and_its_passwords_are_shown_once(client: Client, tenant: Tenant) -> None:
    client.force_login(factories.member(tenant).user, _BACKEND)
    assert "PostgreSQL" in client.get("/catalogue/").content.decode()
    found = client.get("/catalogue/?q=relational").content.decode()
    assert "PostgreSQL" in found
    assert "Grafana" not in found
    assert client.get("/catalogue/nothing/").status_code == 404
    answer = client.post("/catalogue/postgresql/", {"name": "pg", "tenant": str(tenant.pk)})
    assert answer.status_code == 302, answer.content.decode()
    page = answer.headers["Location"]
    assert "shown this once" in client.get(page).content.decode()
    assert "shown this once" not in client.get(page).content.decode()
    assert Stack.objects.get().catalogue == "postgresql"

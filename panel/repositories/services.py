"""What lies in the registry of the installation, by tenant; and taking tags out."""

import http.client
import socket
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.environments.models import Environment
from panel.errors import Conflict, NotFound, Refused
from panel.registries import own
from panel.repositories.store import NAME, TAG, Store, Tag
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.models import Tenant
from panel.tenants.selectors import refuse_suspended
from runtime.contract import Kind

_MIB = 2**20
_ANSWER_S = 5.0
#: On one page, or in one answer: each is a few files that are read while somebody waits.
_MOST_TAGS = 2000


@dataclass(frozen=True)
class Repository:
    name: str
    tenant: Tenant
    tags: list[Tag]

    @property
    def reference(self) -> str:
        return f"{own.host()}/{self.name}"

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.tags)


def limit_bytes() -> int:
    """Of one tenant."""
    return int(settings.WADAH.registry_tenant_mb) * _MIB


def repositories(actor: Actor) -> Iterator[Repository]:
    """Those of all tenants whose environments the actor sees, by name, until so many tags were shown."""
    store, left = Store(own.place()), _MOST_TAGS
    for tenant in _tenants(actor):
        for name in store.some(tenant.slug):
            if left > 0 and (tags := store.tags(name, min(left, 1000))):
                left -= len(tags)
                yield Repository(name, tenant, tags)


def spaces(actor: Actor) -> Iterator[tuple[Tenant, int]]:
    """Bytes that each such tenant has there."""
    store = Store(own.place())
    for tenant in _tenants(actor):
        yield tenant, store.used_bytes(tenant.slug)


def repository(actor: Actor, name: str) -> Repository:
    """Raises `NotFound` for one that isn't there, and for one whose tenant the actor doesn't see."""
    slug = name.partition("/")[0]
    tenant = next((one for one in _tenants(actor) if one.slug == slug), None)
    if tenant is None or not NAME.fullmatch(name):
        raise NotFound(_("This repository"))
    tags = Store(own.place()).tags(name)
    if not tags:
        raise NotFound(_("This repository"))
    return Repository(name, tenant, tags)


def _tenants(actor: Actor) -> list[Tenant]:
    """Whose name in the registry is theirs: what another one of the same name left isn't shown."""
    owners = Store(own.place()).owners()
    rows = Tenant.objects.for_actor(actor, Permission.ENVIRONMENT_VIEW).filter(slug__in=owners)
    return [one for one in rows.order_by("slug") if owners[one.slug] == str(one.pk)]


def used_by(actor: Actor | None, found: Repository) -> dict[str, list[UUID]]:
    """Apps by tag's name, of those that the actor sees (None: of all)."""
    rows = Environment.objects.living() if actor is None else Environment.objects.living().for_actor(actor)
    rows = rows.filter(kind=Kind.APP, image__startswith=found.reference)
    users: dict[str, list[UUID]] = defaultdict(list)
    for row in rows:
        rest = row.image.removeprefix(found.reference)
        if rest[:1] not in (":", "@"):
            continue  # of another one, whose name begins like this one's
        digest = (row.app or {}).get("digest") or rest.partition("@")[2]
        for tag in found.tags:
            if rest == f":{tag.name}" or digest == tag.digest:
                users[tag.name].append(row.pk)
    return users


def remove_tag(actor: Actor, name: str, tag: str) -> tuple[str, list[str]]:
    """Takes the manifest out, with every tag that leads to it: its digest, and their names. Its layers go with
    the next collection of garbage. Raises `Conflict` while an app is made from it."""
    found = repository(actor, name)
    actor.require(Permission.ENVIRONMENT_CREATE, found.tenant)
    refuse_suspended(found.tenant)
    meant = next((one for one in found.tags if TAG.fullmatch(tag) and one.name == tag), None)
    if meant is None:
        raise NotFound(_("This tag"))
    same = [one.name for one in found.tags if one.digest == meant.digest]
    users = used_by(None, found)
    if count := len({one for name in same for one in users.get(name, [])}):
        raise Conflict(
            _("%(count)s apps are made from it.") % {"count": count},
            code="in_use",
            next_step=_("Delete them first, or give them another image."),
        )
    with transaction.atomic():
        record(
            actor,
            "repository.remove_tag",
            tenant_id=found.tenant.pk,
            target_name=f"{name}:{tag}",
            before={"digest": meant.digest, "tags": same},
        )
        _delete(name, meant.digest)
    Store(own.place()).ask_to_collect()
    return meant.digest, same


def forget_strangers() -> int:
    """Throws away what tenants left that are gone; of how many."""
    store, known = Store(own.place()), 0
    owners = store.owners()
    if not owners:
        return 0
    there = {slug: str(pk) for slug, pk in Tenant.objects.values_list("slug", "pk")}
    for slug, owner in owners.items():
        if there.get(slug) != owner:
            store.forget(slug)
            known += 1
    return known


class _Socket(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_ANSWER_S)
        self.sock.connect(str(settings.WADAH.home / "run" / "registry.sock"))


def _delete(name: str, digest: str) -> None:
    access: list[dict[str, Any]] = [{"type": "repository", "name": name, "actions": ["delete", "pull"]}]
    connection = _Socket("registry")
    try:
        headers = {"Authorization": f"Bearer {own.token('wadah', access)}"}
        connection.request("DELETE", f"/v2/{name}/manifests/{digest}", headers=headers)
        status = connection.getresponse().status
    except OSError as error:
        raise _away() from error
    finally:
        connection.close()
    if status not in (202, 404):
        raise _away()


def _away() -> Refused:
    return Refused(
        _("The registry can't be asked right now."),
        code="registry_away",
        status=503,
        next_step=_("Try again in a moment."),
    )

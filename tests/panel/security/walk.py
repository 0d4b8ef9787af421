"""The walk: every route that the URLconf has, what to send it, and what the reviewed table says of it.

A new route needs a line in `walk.txt`, and an entry in BODIES when it takes a body. `WALK_WRITE=1 pytest
tests/panel/security/test_walk.py -n 0` writes the lines with what the routes really answer; read each of them
before you commit it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from panel.nodes.models import Node
from tests.panel.security.world import ROLES, SSH_KEY
from tests.panel.support import factories

TABLE = Path(__file__).with_name("walk.txt")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: An answer that sends to the sign-in page.
SIGN_IN = "in"

#: Parts of a route that name a row, by the words used for them in `world`.
_BY_COLLECTION = {"environments": "environment", "operations": "operation", "tenants": "tenant"}
_BY_COLLECTION |= {"tokens": "token", "plans": "plan", "images": "image", "nodes": "node"}
_BY_COLLECTION |= {
    "ssh-keys": "ssh_key",
    "sessions": "session",
    "schedules": "schedule",
    "registries": "registry",
    "backup-targets": "target",
    "backups": "backup",
    "volumes": "volume",
    "domains": "domain",
    "stacks": "stack",
    "stages": "stage",
    "builds": "source",
    "base-updates": "update",
    "jails": "environment",
    "cpu-pools": "pool",
    "devices": "device",
}
#: Parts of a route that name no row.
_PLAIN = {
    "key": "walked",
    "number": "4711",
    "name": "t1",
    "slug": "postgresql",
    "provider_id": "sso",
    "uidb36": "abc",
    "what": "general",
    "part": "network",
    "group": "environments",
    "upload": "0123456789abcdef0123456789abcdef",
}

#: What to send, by method and route; nothing else takes a body. `{name}` stands for an id of `world`.
BODIES: dict[str, dict[str, Any]] = {
    "POST /api/v1/environments": {
        "name": "walked",
        "image": "busybox",
        "limits": factories.LIMITS,
        "tenant": "{tenant}",
    },
    "PATCH /api/v1/environments/<pk>": {"description": "walked"},
    "POST /api/v1/environments/<pk>/preview": {"description": "walked"},
    "POST /api/v1/environments/<pk>/credentials": {"ssh_keys": []},
    "POST /api/v1/environments/<pk>/addresses": {"family": 6},
    "POST /api/v1/environments/<pk>/forwards": {"port": 443},
    "POST /api/v1/environments/<pk>/snapshots/<snapshot>/clone": {"name": "walked"},
    "POST /api/v1/environments/<pk>/snapshots/<snapshot>/put-back": {"path": "/etc/hosts"},
    "POST /api/v1/environments/<pk>/files/move": {"paths": ["/etc/hosts"], "name": "hosts.old"},
    "POST /api/v1/environments/<pk>/files/copy": {"paths": ["/etc/hosts"], "name": "hosts.old"},
    "POST /api/v1/environments/<pk>/files/delete": {"paths": ["/etc/hosts"]},
    "POST /api/v1/environments/<pk>/files/attributes": {"paths": ["/etc/hosts"], "mode": "600"},
    "POST /api/v1/environments/<pk>/files/pack": {"paths": ["/etc"], "to": "/root/etc.tar.gz"},
    "POST /api/v1/environments/<pk>/files/unpack": {"path": "/root/etc.tar.gz", "into": "/root/etc"},
    "POST /api/v1/environments/<pk>/files/trash/restore": {"ids": ["1"]},
    "POST /environments/<uuid:environment_id>/snapshots/<uuid:snapshot_id>/clone": {"name": "walked"},
    "POST /api/v1/schedules": {"environment": "{environment}", "cron": "0 4 * * *"},
    "PATCH /api/v1/schedules/<pk>": {"is_on": False},
    "POST /environments/<uuid:environment_id>/snapshots/schedule": {"when": "0 3 * * *"},
    "POST /api/v1/environments/<pk>/commit": {"name": "web"},
    "POST /api/v1/environments/<pk>/exec": {"command": ["true"]},
    "POST /api/v1/tenants": {"name": "walked"},
    "PATCH /api/v1/tenants/<pk>": {"name": "walked"},
    "POST /api/v1/tokens": {"tenant": "{tenant}", "permissions": ["environment.view"]},
    "POST /api/v1/plans": {"name": "walking", "limits": factories.LIMITS},
    "PATCH /api/v1/plans/<pk>": {"name": "walking"},
    "POST /api/v1/tenants/<pk>/quota/preview": {"quota": {"cpu": 1}},
    "POST /api/v1/plans/<pk>/preview": {"limits": {"memory_mb": 128}},
    "POST /api/v1/images": {"name": "busybox"},
    "PATCH /api/v1/nodes/<pk>": {"state": "disabled"},
    "POST /environments/<uuid:environment_id>/power": {"action": "stop"},
    "POST /environments/<uuid:environment_id>/settings/<slug:what>": {"name": "walked"},
    "POST /environments/<uuid:environment_id>/network/<slug:part>": {"nameservers": "9.9.9.9"},
    "POST /environments/<uuid:environment_id>/delete": {"typed_name": "ve-amber"},
    "POST /environments/<uuid:environment_id>/undelete": {"name": "ve-amber"},
    "POST /environments/create": {
        "name": "walked",
        "image": "busybox",
        "tenant": "slug-amber",
        "kind": "system",
        "kernel": "shared",
        **factories.LIMITS,
        "processes": 100,
    },
    "POST /environments/bulk": {"action": "stop", "id": "{environment}"},
    "POST /tenants/create": {"name": "walked", "trash_days": "7"},
    "POST /tenants/<uuid:tenant_id>/trash": {"trash_days": "7"},
    "POST /tenants/<uuid:tenant_id>/delete": {"typed_name": "tenant-amber", "wait_days": "7"},
    "POST /tenants/<uuid:tenant_id>/people/invite": {"email": "walked@example.test", "role": "viewer"},
    "POST /tenants/<uuid:tenant_id>/people/<uuid:user_id>/role": {"role": "viewer"},
    "POST /tenants/<uuid:tenant_id>/people/second-factor": {"is_required": "0"},
    "POST /tenants/<uuid:tenant_id>/roles/create": {"name": "walking", "permissions": "environment.view"},
    "POST /tenants/<uuid:tenant_id>/support": {"reason": "the walk", "minutes": "5"},
    "POST /roles/<uuid:role_id>/": {"name": "walking", "permissions": "environment.view"},
    "POST /environments/<uuid:environment_id>/shares": {"email": "walked@example.test", "days": "1"},
    "PATCH /api/v1/tenants/<pk>/members/<user>": {"role": "viewer"},
    "POST /api/v1/tenants/<pk>/roles": {"name": "walking", "permissions": ["environment.view"]},
    "PATCH /api/v1/tenants/<pk>/roles/<role>": {"name": "walking"},
    "POST /api/v1/tenants/<pk>/invitations": {"email": "walked@example.test", "role": "viewer"},
    "POST /api/v1/environments/<pk>/shares": {
        "email": "walked@example.test",
        "ends_at": "{tomorrow}",
    },
    "POST /api/v1/tenants/<pk>/support": {"reason": "the walk", "minutes": 5},
    "PATCH /api/v1/sign-in-policy": {"requires_mfa": False},
    "POST /tenants/<uuid:tenant_id>/state": {"state": "suspended"},
    "POST /nodes/<uuid:node_id>/state": {"state": "disabled"},
    "POST /tokens/": {"tenant": "{tenant}", "name": "walked", "role": "viewer", "days": "1"},
    "POST /sign-in/": {"requires_mfa": "0"},
    "POST /api/v1/registries/inspect": {"tenant": "{tenant}", "image": "nginx"},
    "POST /api/v1/registries": {"host": "registry.example.com", "tenant": "{tenant}"},
    "POST /api/v1/stages": {"tenant": "{tenant}", "line": "walked", "name": "walked"},
    "PATCH /api/v1/stages/<pk>": {"needs_yes": True},
    "POST /api/v1/stages/<pk>/deploy": {"image": "nginx:1"},
    "POST /stages/<uuid:stage_id>/deploy": {"image": "nginx:1"},
    "POST /api/v1/builds": {"tenant": "{tenant}", "name": "walked"},
    "PATCH /api/v1/builds/<pk>": {"folder": "walked"},
    "POST /api/v1/domains": {"name": "walked.example.org", "environment": "{environment}"},
    "PATCH /api/v1/domains/<pk>": {"https": False},
    "POST /api/v1/domains/<pk>/targets": {"environment": "{environment}", "port": 81},
    "POST /domains/": {"name": "walked.example.org", "environment": "{environment}", "port": "80"},
    "POST /domains/<uuid:domain_id>/": {"balance": "sticky"},
    "POST /domains/<uuid:domain_id>/targets": {"environment": "{environment}", "port": "81"},
    "POST /domains/<uuid:domain_id>/users": {"user": "ali", "password": "open sesame"},
    "POST /environments/<uuid:environment_id>/domains": {"name": "walked.example.org", "port": "80"},
    "POST /api/v1/volumes": {"tenant": "{tenant}", "name": "walked", "size_mb": 16},
    "PATCH /api/v1/volumes/<pk>": {"name": "walked"},
    "POST /api/v1/volumes/<pk>/attach": {"environment": "{environment}"},
    "POST /api/v1/volumes/<pk>/detach": {"environment": "{environment}"},
    "POST /environments/<uuid:environment_id>/volumes/attach": {"volume": "{volume}"},
    "POST /volumes/<uuid:volume_id>/resize": {"size_mb": "64"},
    "POST /volumes/<uuid:volume_id>/schedule": {"when": "0 3 * * *"},
    "POST /volumes/<uuid:volume_id>/backups/schedule/set": {"when": "0 3 * * *", "target": "{target}"},
    "POST /api/v1/volumes/<pk>/snapshots/<snapshot>/clone": {"name": "walked"},
    "POST /api/v1/volumes/<pk>/backups": {"target": "{target}"},
    "POST /backups/volumes/<uuid:backup_id>/new": {"name": "walked"},
    "POST /volumes/<uuid:volume_id>/snapshots/<uuid:snapshot_id>/clone": {"name": "walked"},
    "POST /api/v1/stacks": {
        "tenant": "{tenant}",
        "node": "{node}",
        "name": "walked",
        "compose": "services:\n  a:\n    image: x\n",
        "limits": factories.LIMITS,
    },
    "POST /api/v1/catalogue/<name>": {"tenant": "{tenant}", "node": "{node}", "name": "walked"},
    "POST /stacks/": {
        "name": "walked-page",
        "tenant": "{tenant}",
        "compose": "services:\n  a:\n    image: x\n",
    },
    "POST /stacks/<uuid:stack_id>/": {"compose": "services:\n  a:\n    image: y\n"},
    "POST /catalogue/<slug:slug>/": {"name": "walked-entry", "tenant": "{tenant}"},
    "PUT /api/v1/stacks/<pk>": {"compose": "services:\n  a:\n    image: y\n"},
    "PATCH /api/v1/stacks/<pk>": {"scale": {"a": 2}},
    "POST /api/v1/stacks/<pk>/scale": {"scale": {"a": 2}},
    "POST /api/v1/cpu-pools": {"node": "{node}", "name": "walked", "processors": "1"},
    "PATCH /api/v1/cpu-pools/<pk>": {"processors": "2"},
    "POST /api/v1/devices": {"node": "{node}", "name": "walked", "path": "/dev/ttyUSB0"},
    "PATCH /api/v1/devices/<pk>": {"shared": True},
    "POST /devices/": {"node": "{node}", "name": "walked", "path": "/dev/ttyUSB0"},
    "PUT /api/v1/environments/<pk>/devices": {"devices": []},
    "POST /cpu-pools/": {"node": "{node}", "name": "walked", "processors": "1"},
    "POST /api/v1/jails/import": {
        "tenant": "{tenant}",
        "conf": "walked {{ path = /walked; }}",
        "base": "empty",
    },
    "POST /api/v1/jails/<pk>/template": {"template": "CMD true"},
    "POST /api/v1/jails/base-updates": {"tenant": "{tenant}", "image": "busybox"},
    "POST /api/v1/jails/base-updates/preview": {"tenant": "{tenant}", "image": "busybox"},
    "POST /jails/": {"tenant": "{tenant}", "conf": "walked-page {{ vnet; }}", "base": "empty"},
    "POST /api/v1/backup-targets": {"tenant": "{tenant}", "name": "walked"},
    "PATCH /api/v1/backup-targets/<pk>": {"upload_mbit_s": None},
    "POST /api/v1/environments/<pk>/backups": {"target": "{target}"},
    "POST /api/v1/backups/<pk>/put-back": {"path": "/etc/fstab"},
    "POST /api/v1/backups/<pk>/restore": {"as": "new", "name": "walked"},
    "POST /api/v1/environments/<pk>/backups/<backup>/restore": {"as": "new", "name": "walked"},
    "POST /environments/<uuid:environment_id>/backups/make": {"target": "{target}"},
    "POST /environments/<uuid:environment_id>/backups/schedule": {"when": "0 3 * * *", "target": "{target}"},
    "POST /backups/<uuid:backup_id>/new": {"name": "walked"},
    "POST /backups/<uuid:backup_id>/keep": {"keep_days": "30"},
    "PATCH /api/v1/backups/<pk>": {"kept_until": None},
    "POST /api/v1/ssh-keys": {"text": SSH_KEY, "name": "walked"},
    "POST /profile/ssh-keys": {"text": SSH_KEY},
    "POST /nodes/<uuid:node_id>/address": {"public_address": "node.example.org"},
    "POST /profile/": {"language": "en", "time_zone": "UTC"},
    "POST /i18n/setlang/": {"language": "id"},
}


@dataclass(frozen=True)
class Route:
    """As Django writes it: `/environments/<uuid:environment_id>/`."""

    pattern: str
    methods: frozenset[str]
    """Of the API, which knows them; empty for a page."""

    @property
    def names(self) -> list[str]:
        """Words of `world.ids` for its parts that name a row."""
        return [word for word in (self._word(part) for part in self._parts) if word not in _PLAIN]

    @property
    def _parts(self) -> list[str]:
        return re.findall(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)", self.pattern) and [
            a or b for a, b in re.findall(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)", self.pattern)
        ]

    def _word(self, part: str) -> str:
        if part == "pk":
            collection = re.match(r"/api/v1/(?:jails/(?!<))?([\w-]+)/<pk>", self.pattern)
            if self.pattern.endswith("/restore-volume"):
                return "volume_backup"
            return _BY_COLLECTION[collection[1]] if collection else "passkey"
        word = part.removesuffix("_id")
        if word == "backup" and "/volumes/" in self.pattern:
            return "volume_backup"
        return "volume_snapshot" if word == "snapshot" and "/volumes/" in self.pattern else word

    @property
    def parts(self) -> list[str]:
        """All words that `path` takes, those that name no row too."""
        return [self._key(part) for part in self._parts]

    def _key(self, part: str) -> str:
        return part if part in _PLAIN else self._word(part)

    def path(self, ids: dict[str, str]) -> str:
        def filled(match: re.Match[str]) -> str:
            key = self._key(match[1] or match[2])
            return ids.get(key) or _PLAIN[key]

        return re.sub(r"<(?:\w+:)?(\w+)>|\(\?P<(\w+)>[^)]*\)", filled, self.pattern)


@cache
def routes() -> dict[str, Route]:
    found: dict[str, set[str]] = {}
    for pattern, view in _patterns(get_resolver()):
        found.setdefault(pattern, set()).update(_api_methods(view))
    return {pattern: Route(pattern, frozenset(methods)) for pattern, methods in sorted(found.items())}


def _patterns(resolver: URLResolver, prefix: str = "/") -> Iterator[tuple[str, URLPattern]]:
    for one in resolver.url_patterns:
        full = prefix + str(one.pattern).removeprefix("^").removesuffix("$").replace("\\Z", "")
        if isinstance(one, URLResolver):
            yield from _patterns(one, full)
        else:
            yield full, one


def _api_methods(view: URLPattern) -> set[str]:
    """django-ninja's path views carry their operations; pages don't say."""
    path_view = getattr(view.callback, "__self__", None) or _closed_over(view.callback)
    return {m for operation in getattr(path_view, "operations", []) for m in operation.methods}


def _closed_over(callback: Any) -> Any:
    for cell in getattr(callback, "__closure__", None) or ():
        if hasattr(cell.cell_contents, "operations"):
            return cell.cell_contents
    return None


@dataclass(frozen=True)
class Line:
    method: str
    pattern: str
    answers: dict[str, str]
    """By role: a status, or `in`."""

    @property
    def key(self) -> str:
        return f"{self.method} {self.pattern}"

    def text(self) -> str:
        cells = " ".join(f"{self.answers[role]:>13}" for role in ROLES)
        return f"{self.method:6} {self.pattern:70} {cells}".rstrip()


def table() -> dict[str, Line]:
    lines = {}
    for text in TABLE.read_text().splitlines():
        if text.strip() and not text.startswith("#"):
            method, pattern, *cells = text.split()
            line = Line(method, pattern, dict(zip(ROLES, cells, strict=True)))
            lines[line.key] = line
    return lines


def ask(client: Client, method: str, route: Route, ids: dict[str, str]) -> HttpResponse:
    """One request, undone afterwards."""
    ids = {**ids, "tomorrow": (timezone.now() + timedelta(days=1)).isoformat()}
    body = {
        key: value.format(**ids) if isinstance(value, str) else value
        for key, value in BODIES.get(f"{method} {route.pattern}", {}).items()
    }
    path = route.path(ids)
    with transaction.atomic():
        # a slow machine takes longer for the walk than a node may be silent
        Node.objects.update(last_seen_at=timezone.now())
        if method == "GET":
            answer = client.get(path)
        elif route.pattern.startswith("/api/"):
            answer = client.generic(method, path, _json(body), content_type="application/json")
        else:
            answer = client.generic(
                method,
                path,
                "&".join(f"{key}={value}" for key, value in body.items()),
                content_type="application/x-www-form-urlencoded",
            )
        transaction.set_rollback(True)
    return answer


def _json(body: dict[str, Any]) -> str:
    import json

    return json.dumps(body) if body else ""


def seen(answer: HttpResponse) -> str:
    """The status, or `in` for the way to the sign-in page."""
    if answer.status_code == 302 and answer["Location"].startswith("/accounts/login/"):
        return SIGN_IN
    return str(answer.status_code)


def body_without(answer: HttpResponse, ids: dict[str, str]) -> str:
    """The body with ids, CSRF tokens, nonces and ages (a second may pass between two answers) made equal."""
    text = answer.content.decode() if not answer.streaming else b"".join(answer).decode()
    for value in ids.values():
        text = text.replace(f"/{value}/", "/ID/") if value.isdigit() else text.replace(value, "ID")
    text = re.sub(r'(name="csrfmiddlewaretoken" value|name="csrf-token" content|nonce)="[^"]+"', r"\1", text)
    return re.sub(r"\b\d+ (second|minute)s?\b", "AGE", text)

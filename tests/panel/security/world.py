"""Two tenants with one of everything, and a person of each sort: what the walk goes through."""

from __future__ import annotations

import uuid
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any

from django.db import connection
from django.test import Client
from django.utils import timezone

from panel.access.models import Share, SupportAccess
from panel.accounts.models import SshKey, User
from panel.accounts.signed_in import id_of
from panel.backups.about import document_of
from panel.backups.models import Backup, Target
from panel.backups.targets import add_target
from panel.builds.models import Build, BuildSource
from panel.domains.services import add_domain
from panel.environments import services as environments
from panel.environments.models import Environment
from panel.images.models import Image
from panel.jails.models import BaseUpdate
from panel.networks.addresses import add_addresses
from panel.networks.forwards import add_forward
from panel.nodes.models import CpuPool, HostDevice, Node
from panel.operations.models import Operation
from panel.people import invitations
from panel.people.roles import create_role
from panel.people.tokens import create_token
from panel.plans.services import create_plan
from panel.registries.services import add_registry
from panel.rights.actor import Actor
from panel.stacks.models import Stack
from panel.stages.services import add_stage
from panel.storage.schedules import set_schedule
from panel.storage.services import take_snapshot
from panel.tenants.models import Tenant
from panel.volumes.models import Volume, VolumeSnapshot
from runtime.contract import DeviceClass, Kind, SeenDevice
from tests.panel.support import factories

#: One that anybody may add.
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEVGtcjpm7JpkmpEDzEpMCcYyBGnXMFNXfMbqXgvKAZX me@example"
#: Who walks, in the order of the table's columns.
ROLES = ("anonymous", "viewer", "billing", "operator", "administrator", "owner", "platform")


@dataclass
class Side:
    """A tenant and what belongs to it. `ids` by the name that routes use."""

    tenant: Tenant
    environment: Environment
    people: dict[str, User]
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def marks(self) -> list[str]:
        """What nobody of another tenant may ever read."""
        return [*self.ids.values(), self.tenant.name, self.environment.name, self.people["owner"].email]


@dataclass
class World:
    node: Node
    own: Side
    other: Side
    platform: User
    shared: dict[str, str]
    """Ids of what belongs to no tenant."""
    _signed_in: dict[User, SimpleCookie] = field(default_factory=dict)

    def client(self, role: str, side: Side | None = None) -> Client:
        """A browser of somebody with that role, as it was just after the sign-in."""
        client = Client(raise_request_exception=True)
        if role != "anonymous":
            user = self.platform if role == "platform" else (side or self.own).people[role]
            if user not in self._signed_in:
                client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
                self._signed_in[user] = client.cookies
            client.cookies = copy(self._signed_in[user])
        return client

    def values(self, side: Side) -> dict[str, str]:
        return {**self.shared, **side.ids}

    def missing(self) -> dict[str, str]:
        """Ids that lead nowhere, of the same look."""
        return {key: _nowhere(value) for key, value in self.own.ids.items()}


def _nowhere(value: str) -> str:
    return "987654321" if value.isdigit() else str(uuid.uuid4())


_PORT = SeenDevice(path="/dev/ttyUSB0", sort=DeviceClass.SERIAL, number="188:0")


def make_world() -> World:
    if connection.vendor == "postgresql":
        # one transaction for all its tests: to think of a request may take longer than one may be idle
        with connection.cursor() as cursor:
            cursor.execute("SET idle_in_transaction_session_timeout = 0")
    node = factories.node(kinds=(Kind.SYSTEM, Kind.JAIL), seen_devices=(_PORT,))
    platform = factories.administrator()
    own, other = _side(platform, "amber"), _side(platform, "cobalt")
    plan = create_plan(platform, name="walked", limits=factories.LIMITS)
    image = Image.objects.get(name="busybox")
    pool = CpuPool.objects.create(node=node, name="walked-pool", processors=[7])
    device = HostDevice.objects.create(node=node, name="walked-device", known_by={"path": "/dev/ttyUSB7"})
    shared = {
        "plan": str(plan.pk),
        "node": str(node.pk),
        "image": str(image.pk),
        "pool": str(pool.pk),
        "device": str(device.pk),
    }
    return World(node, own, other, platform.user, shared)


def _side(platform: Actor, word: str) -> Side:
    tenant = factories.tenant()
    Tenant.objects.filter(pk=tenant.pk).update(name=f"tenant-{word}", slug=f"slug-{word}")
    tenant.refresh_from_db()
    people = {role: factories.member(tenant, role).user for role in ROLES[1:-1]}
    owner = Actor(people["owner"])
    environment = factories.environment(tenant, owner, name=f"ve-{word}")
    forward, _ = add_forward(owner, environment.pk, port=80)
    [address], _ = add_addresses(owner, environment.pk)
    snapshot, _ = take_snapshot(owner, environment.pk, name=f"snapshot-{word}")
    factories.reported(environment)
    failed = environments.restart(owner, environment.pk).operation
    assert failed is not None
    Operation.objects.filter(pk=failed.pk).update(state="failed", code="walked")
    environment.refresh_from_db()
    token, _ = create_token(owner, tenant=tenant, role="viewer", name=f"token-{word}")
    target, _ = add_target(owner, tenant, name=f"target-{word}")
    volume = _volume(owner, environment, word)
    ids = {
        "environment": str(environment.pk),
        "forward": str(forward.pk),
        "snapshot": str(snapshot.pk),
        "backup_schedule": str(
            set_schedule(owner, environment.pk, cron="0 4 * * *", takes="backups", target=str(target.pk)).pk
        ),
        "schedule": str(set_schedule(owner, environment.pk, cron="0 3 * * *").pk),
        "target": str(target.pk),
        "domain": str(add_domain(owner, tenant, name=f"{word}.example.org", targets=[(environment, 80)]).pk),
        "stage": str(add_stage(owner, tenant, line=f"line-{word}", name=f"stage-{word}", environments=[]).pk),
        "update": str(_base_update(tenant, failed)),
        "source": _source(tenant, node=environment.node, name=f"source-{word}", operation=failed),
        "volume": str(volume.pk),
        "volume_backup": str(_volume_backup(owner, volume, target).pk),
        "volume_snapshot": str(_volume_snapshot(owner, volume).pk),
        "stack": str(_stack(owner, environment, word).pk),
        "backup": str(_backed_up(owner, environment, target).pk),
        "registry": str(add_registry(owner, tenant, host=f"{word}.example.com").pk),
        "address": str(address.pk),
        "operation": str(failed.pk),
        "tenant": str(tenant.pk),
        "token": str(token.pk),
        "ssh_key": str(_ssh_key(people["owner"], word)),
        "session": _session(people["owner"], word),
        **_people(tenant, environment, owner, word),
        "passkey": str(_passkey(factories.person(), word)),
    }
    return Side(tenant, environment, people, ids)


def _source(tenant: Tenant, *, node: Node, name: str, operation: Operation) -> str:
    row = BuildSource.objects.create(
        tenant=tenant, name=name, git={"url": "https://g.test/x.git", "branch": "main"}
    )
    image = f"registry.example.com/{name}:1"
    Build.objects.create(source=row, number=4711, operation=operation, node=node, image=image)
    return str(row.pk)


def _people(tenant: Tenant, environment: Environment, owner: Actor, word: str) -> dict[str, str]:
    """A member to change, a role, an invitation, a share and a support access."""
    invited, _ = invitations.invite(owner, tenant, email=f"invited-{word}@example.test", role="viewer")
    share = Share.objects.create(
        tenant=tenant,
        environment=environment,
        user=factories.person(),
        permissions=["environment.view"],
        expires_at=timezone.now() + timedelta(days=1),
    )
    support = SupportAccess.objects.create(
        tenant=tenant,
        user=factories.person(is_superuser=True),
        reason=f"reason-{word}",
        ends_at=timezone.now() + timedelta(days=1),
    )
    return {
        "user": str(factories.member(tenant, "viewer").user.pk),
        "role": str(create_role(owner, tenant, name=f"role-{word}", permissions=["environment.view"]).pk),
        "invitation": str(invited.pk),
        "share": str(share.pk),
        "support": str(support.pk),
    }


def _backed_up(owner: Actor, environment: Environment, target: Target) -> Backup:
    return Backup.objects.create(
        tenant=environment.tenant,
        target=target,
        environment=environment,
        of=environment.pk,
        of_name=environment.name,
        name=f"backup-of-{environment.name}",
        document=document_of(environment),
        snapshot="ab" * 32,
        made_at=timezone.now(),
        created_by=owner.user,
    )


def _volume_backup(owner: Actor, volume: Volume, target: Target) -> Backup:
    return Backup.objects.create(
        tenant=volume.tenant,
        target=target,
        volume=volume,
        is_of_volume=True,
        of=volume.pk,
        of_name=volume.name,
        name=f"backup-of-{volume.name}",
        document={"kind": "volume", "image": "", "size_mb": 32, "volume_class": "standard", "is_shared": False},
        snapshot="ab" * 32,
        made_at=timezone.now(),
        created_by=owner.user,
    )


def _stack(owner: Actor, environment: Environment, word: str) -> Stack:
    return Stack.objects.create(
        tenant=environment.tenant,
        node=environment.node,
        name=f"stack-{word}",
        compose="services: {a: {image: x}}",
        limits=factories.LIMITS,
        volume_mb=16,
        created_by=owner.user,
    )


def _volume(owner: Actor, environment: Environment, word: str) -> Volume:
    return Volume.objects.create(
        tenant=environment.tenant,
        node=environment.node,
        name=f"volume-{word}",
        size_mb=32,
        made_at=timezone.now(),
        created_by=owner.user,
    )


def _volume_snapshot(owner: Actor, volume: Volume) -> VolumeSnapshot:
    return VolumeSnapshot.objects.create(
        volume=volume,
        tenant=volume.tenant,
        name=f"snapshot-of-{volume.name}",
        made_at=timezone.now(),
        created_by=owner.user,
    )


def _ssh_key(user: User, word: str) -> uuid.UUID:
    """Another one than the walk adds."""
    key = SshKey.objects.create(
        user=user, name=f"key-{word}", text="ssh-ed25519 AAAA", fingerprint=f"SHA256:{word}"
    )
    return key.pk


def _session(user: User, word: str) -> str:
    """A browser in which the person is signed in as well."""
    from allauth.usersessions.models import UserSession

    client = Client()
    client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
    key = client.session.session_key
    return id_of(UserSession.objects.create(user=user, ip="192.0.2.1", user_agent=word, session_key=key))


def _passkey(user: User, word: str) -> int:
    """A row as allauth keeps it; nobody could sign in with it."""
    from allauth.mfa.models import Authenticator

    data: dict[str, Any] = {"name": f"passkey-{word}", "credential": {}}
    return int(Authenticator.objects.create(user=user, type="webauthn", data=data).pk)


def _base_update(tenant: Tenant, operation: Operation) -> uuid.UUID:
    """One that is done."""
    row = BaseUpdate.objects.create(tenant=tenant, operation=operation, image="busybox", state="done")
    return row.pk

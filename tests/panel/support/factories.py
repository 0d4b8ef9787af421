"""People, tenants, nodes and environments, made by the same services that pages and API call."""

import itertools
import uuid
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from panel.accounts.models import User
from panel.accounts.services import save_user
from panel.environments import services as environments
from panel.environments.models import Environment
from panel.environments.observe import observe
from panel.images.services import ensure_catalogue
from panel.jobs.models import Job
from panel.jobs.observe import observe as observe_job
from panel.nodes.models import Node
from panel.nodes.services import observe_node
from panel.operations.models import Operation
from panel.people.tokens import create_token
from panel.rights.actor import Actor
from panel.tenancy.services import create_tenant
from panel.tenants.models import Membership, Tenant
from runtime.contract import (
    Device,
    JobOutcome,
    JobReport,
    Kernel,
    Kind,
    NodeFacts,
    NodeReport,
    ObservedState,
    Report,
)

_numbers = itertools.count(1)
PASSWORD = "correct-horse-battery"
#: One small environment.
LIMITS = {"cpu": 0.5, "memory_mb": 64, "disk_mb": 128}


def administrator() -> Actor:
    """A new administrator of the installation."""
    return Actor(person(is_superuser=True))


def person(*, username: str = "", password: str = "", **fields: Any) -> User:
    """A new user; without `password` he has none that works, which is quicker."""
    name = username or f"person-{next(_numbers)}"
    user = User(username=name, email=f"{name}@example.test", **fields)
    save_user(user, password)
    return user


def tenant(*, quota: dict[str, float | None] | None = None, parent: Tenant | None = None) -> Tenant:
    number = next(_numbers)
    return create_tenant(
        administrator(), name=f"Tenant {number}", slug=f"t-{number}", parent=parent, quota=quota
    )


def member(of: Tenant, role: str = "owner") -> Actor:
    """A new person with that role."""
    user = person()
    Membership.objects.create(tenant=of, user=user, role=role)
    return Actor(user)


def bearer(actor: Actor, of: Tenant | None, *permissions: str, role: str = "") -> dict[str, str]:
    """Headers for Django's test client that make it speak for a new token of the actor's."""
    _, text = create_token(actor, tenant=of, role=role, permissions=list(permissions))
    return {"Authorization": f"Bearer {text}"}


def node_report(name: str = "", **facts: Any) -> NodeReport:
    """What a node with 8 cores, 64 GiB and a ready busybox says of itself."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "name": name or f"node-{number}",
        "version": "test",
        "kernel_release": "6.18",
        "distribution": "Debian",
        "cgroup_version": 2,
        "cpus": 8,
        "memory_bytes": 64 * 2**30,
        "pool_bytes": 500 * 2**30,
        "pool_used_bytes": 0,
        "ipv4_network": IPv4Network(f"10.{90 + number % 100}.0.0/16"),
        "ipv6_network": IPv6Network(f"fd88:0:0:{number:x}::/64"),
        "first_slot": 0,
        "slots": 2048,
        "kinds": (Kind.SYSTEM,),
        "kernels": (Kernel.SHARED,),
        "devices": (Device.TUN, Device.FUSE),
        "images": ("busybox", "debian-12"),
        "boot_id": uuid.uuid4(),
    }
    return NodeReport(at=datetime.now(UTC), facts=NodeFacts(**{**values, **facts}))


def node(name: str = "", **facts: Any) -> Node:
    """A node that was just heard of, with its images ready."""
    ensure_catalogue()
    return observe_node(node_report(name, **facts))


def environment(
    of: Tenant, actor: Actor | None = None, *, is_running: bool = True, **fields: Any
) -> Environment:
    """A new environment; unless `is_running` is false its node has reported it up. Needs a `node()`."""
    values = {"name": f"ve-{next(_numbers)}", "image": "busybox", "limits": LIMITS, **fields}
    made = environments.create_environment(actor or administrator(), of, **values).environment
    if is_running:
        reported(made)
    made.refresh_from_db()
    return made


def reported(row: Environment, state: ObservedState = ObservedState.RUNNING, **fields: Any) -> None:
    """The node says that it brought the newest intent about (or what `fields` say)."""
    row.refresh_from_db()
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "node": row.node.name,
        "environment_id": row.pk,
        "generation": row.generation,
        "attempted_generation": row.generation,
        "operation_id": row.operation_id,
        "sequence": int(now.timestamp() * 1e9),
        "at": now,
        "state": state,
    }
    observe(Report(**{**values, **fields}))


def job_reported(
    operation: Operation | None,
    outcome: JobOutcome | None = None,
    *,
    job_id: uuid.UUID | None = None,
    **fields: Any,
) -> bool:
    """The node of a job says how far it is with it. `job_id`: of another than the operation's first."""
    assert operation is not None
    job = Job.objects.get(pk=job_id or operation.pk).asked
    now = datetime.now(UTC)
    values = {"node": job.node, "sequence": int(now.timestamp() * 1e9), "at": now, **fields}
    report = JobReport(id=job.id, about=job.about, operation_id=operation.pk, outcome=outcome, **values)
    return observe_job(report)


def gone(row: Environment) -> None:
    """The node says that nothing is left of it."""
    reported(row, ObservedState.DELETED)

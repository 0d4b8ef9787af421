"""What `./wadah dev` begins with: two tenants, and environments in every state. Idempotent."""

import os
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.config.settings")
django.setup()

from panel.accounts.models import User  # noqa: E402
from panel.environments import services  # noqa: E402
from panel.environments.models import Environment  # noqa: E402
from panel.environments.states import State  # noqa: E402
from panel.errors import Refused  # noqa: E402
from panel.nodes.models import Node  # noqa: E402
from panel.rights.actor import Actor  # noqa: E402
from panel.tenancy.services import create_tenant  # noqa: E402
from panel.tenants.models import Tenant  # noqa: E402

QUOTA = {
    "environments": 20,
    "cpu": 24,
    "memory_mb": 32_768,
    "disk_mb": 204_800,
    "addresses": 40,
    "forwards": 40,
}
TENANTS = {"lumbung": "Lumbung Rice Traders", "rimba": "Rimba Studio"}
#: Tenant, name, vCPU, MiB of memory, what it is to become.
WANTED = (
    ("lumbung", "web-1", 2, 2048, State.RUNNING),
    ("lumbung", "web-2", 2, 2048, State.RUNNING),
    ("lumbung", "db-1", 4, 8192, State.RUNNING),
    ("lumbung", "cache", 1, 1024, State.PAUSED),
    ("lumbung", "backup", 1, 512, State.STOPPED),
    ("lumbung", "fails-archive", 1, 512, State.FAILED),
    ("rimba", "site", 1, 1024, State.RUNNING),
    ("rimba", "git", 2, 4096, State.RUNNING),
    ("rimba", "ci-1", 4, 4096, State.RUNNING),
    ("rimba", "staging", 1, 1024, State.STOPPED),
    ("rimba", "mail", 1, 1024, State.RUNNING),
    ("rimba", "slow-render", 2, 2048, State.PROVISIONING),
)
_DEADLINE_S = 60.0


def main() -> None:
    actor = Actor(User.objects.filter(is_superuser=True).order_by("date_joined")[0])
    _until(Node.objects.exists, "the node was not heard of")
    tenants = {slug: _tenant(actor, slug, name) for slug, name in TENANTS.items()}
    for slug, name, cpu, memory_mb, state in WANTED:
        if not Environment.objects.filter(tenant=tenants[slug], name=name).exists():
            services.create_environment(
                actor,
                tenants[slug],
                name=name,
                image="debian-12",
                limits={"cpu": cpu, "memory_mb": memory_mb, "disk_mb": 8192},
                tags=[name.partition("-")[0]],
                is_started=state is not State.STOPPED,
            )
    for slug, name, *_, state in WANTED:
        row = tenants[slug].environments.get(name=name)
        goals = {state, State.RUNNING if state is State.PAUSED else state}
        _until(lambda row=row, goals=goals: _state(row) in goals, f"{name} is not {state}")
        if state is State.PAUSED and _state(row) is not state:
            services.pause(actor, row.pk)


def _tenant(actor: Actor, slug: str, name: str) -> Tenant:
    known = Tenant.objects.filter(slug=slug).first()
    return known or create_tenant(actor, name=name, slug=slug, quota=QUOTA)


def _state(row: Environment) -> State:
    row.refresh_from_db()
    return row.state


def _until(is_so, otherwise: str) -> None:
    until = time.monotonic() + _DEADLINE_S
    while not is_so():
        if time.monotonic() > until:
            raise SystemExit(f"{otherwise} within {_DEADLINE_S:g} s")
        time.sleep(0.2)


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        raise SystemExit(str(refused)) from refused

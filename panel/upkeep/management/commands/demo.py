"""Makes a demo tenant and its first environment, as a person would. Idempotent."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from panel.accounts.models import User
from panel.environments import services
from panel.environments.models import Environment
from panel.errors import Refused
from panel.images.models import NodeImage
from panel.nodes.models import Node
from panel.rights.actor import Actor
from panel.tenancy.services import create_tenant
from panel.tenants.models import Tenant

SLUG = "demo"
NAME = "hello"
IMAGES = ("debian-12", "busybox")
QUOTA = {
    "environments": 20,
    "cpu": 16,
    "memory_mb": 16_384,
    "disk_mb": 102_400,
    "addresses": 40,
    "forwards": 40,
}
LIMITS = {"cpu": 1, "memory_mb": 512, "disk_mb": 4096}
#: The node reports itself and its images every ten seconds.
NODE_DEADLINE_S = 40.0
#: An image that was built just now is reported within a second or two; then the next best is taken.
SETTLE_S = 4.0


def _limits() -> dict[str, int]:
    """`LIMITS`, with no more disk than half of the largest pool."""
    pools = [node.facts.get("pool_bytes", 0) // 2**20 for node in Node.objects.all()]
    return {**LIMITS, "disk_mb": min(LIMITS["disk_mb"], max(pools, default=0) // 2)}


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(is_superuser=True).order_by("date_joined").first()
        if user is None:
            raise CommandError("there is no administrator: run `manage.py bootstrap` first")
        actor = Actor(user)
        tenant = Tenant.objects.filter(slug=SLUG).first()
        if tenant is None:
            tenant = create_tenant(actor, name="Demo", slug=SLUG, quota=QUOTA)
        if Environment.objects.filter(tenant=tenant).exists():
            return
        image = self._image()
        try:
            services.create_environment(actor, tenant, name=NAME, image=image, limits=_limits())
        except Refused as refused:
            raise CommandError(str(refused)) from refused

    def _image(self) -> str:
        """The best image that a node has ready; waits for the first heartbeat."""
        began = time.monotonic()
        while time.monotonic() < began + NODE_DEADLINE_S:
            rows = NodeImage.objects.filter(observed_revision__gt=0, is_wanted=True)
            ready = set(rows.values_list("image__name", flat=True))
            if IMAGES[0] in ready or (ready & set(IMAGES) and time.monotonic() > began + SETTLE_S):
                return next(name for name in IMAGES if name in ready)
            time.sleep(0.2)
        raise CommandError(f"no node reported a ready image within {NODE_DEADLINE_S:g} s")

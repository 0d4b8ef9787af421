"""Makes the first administrator, a token of his, and the first plans; prints one JSON object. Idempotent."""

import json
import os
import secrets
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from panel.access.auth import actor_from_token
from panel.accounts import services
from panel.accounts.models import User
from panel.images.services import ensure_catalogue
from panel.people.tokens import create_token
from panel.plans.models import Plan
from panel.plans.services import create_plan
from panel.rights.actor import Actor
from panel.rights.permissions import EVERYTHING

USERNAME = "admin"
EMAIL = "admin@wadah.invalid"


#: What a fresh installation offers; administrators change them as they like.
PLANS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Tiny", {"cpu": 0.5, "memory_mb": 256, "disk_mb": 2048, "processes": 256}),
    ("Small", {"cpu": 1, "memory_mb": 1024, "disk_mb": 10_240, "processes": 512}),
    ("Medium", {"cpu": 2, "memory_mb": 2048, "disk_mb": 20_480, "processes": 1024}),
    ("Large", {"cpu": 4, "memory_mb": 8192, "disk_mb": 81_920, "processes": 4096}),
)


class Command(BaseCommand):
    help = __doc__

    def handle(self, *args: Any, **options: Any) -> None:
        """`WADAH_ADMIN_PASSWORD` and `WADAH_ADMIN_TOKEN` are what the installation knows so far."""
        password = os.environ.get("WADAH_ADMIN_PASSWORD") or secrets.token_urlsafe(15)
        user = User.objects.filter(username=USERNAME).first()
        made = user is None
        if user is None:
            user = User(username=USERNAME, email=EMAIL, is_superuser=True)
            services.save_user(user, password)
        actor = Actor(user)
        ensure_catalogue()
        for position, (name, limits) in enumerate(PLANS):
            if not Plan.objects.filter(slug=name.lower()).exists():
                create_plan(actor, name=name, slug=name.lower(), limits=limits, position=position)
        token = os.environ.get("WADAH_ADMIN_TOKEN", "")
        if not token or actor_from_token(token, "") is None:
            end = timezone.now() + timedelta(days=365)
            _, token = create_token(
                actor, tenant=None, name="admin.json", permissions=[EVERYTHING], expires_at=end
            )
        answer = {"username": USERNAME, "password": password if made else "", "token": token}
        self.stdout.write(json.dumps(answer))

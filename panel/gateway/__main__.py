"""The gateway's process: `python -m panel.gateway ADDRESS PORT`, as the panel's user."""

import asyncio
import sys

import django

django.setup()

from django.conf import settings  # noqa: E402 (Django is set up only now)

from panel.gateway.server import run  # noqa: E402

if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), settings.WADAH.panel_home))

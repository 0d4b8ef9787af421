"""What runs as root on a node loads nothing of the panel, whatever its environment says."""

import os
import subprocess
import sys

WORKER = """
import sys
from celery.signals import import_modules, worker_init
from runtime import worker

worker.only_ours()
import_modules.send(sender=worker.app)  # what Celery sends before it takes tasks
worker_init.send(sender=None)
print([name for name in sys.modules if name.split(".")[0] == "panel" or name.startswith("django.db")])
"""


def test_a_nodes_worker_loads_neither_the_panel_nor_its_database() -> None:
    """Celery sets up Django by itself where it finds the name of its settings."""
    seen = subprocess.run(
        [sys.executable, "-c", WORKER],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "panel.config.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert seen.stdout.strip() == "[]", seen.stderr[-500:]

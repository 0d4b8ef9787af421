"""What the panel's Celery works on, and when (`panel.queue` has the application itself)."""

import os
from typing import Any

from celery.signals import setup_logging, task_prerun
from django.db import close_old_connections

from panel.queue import app
from runtime.contract.transport import TakeBack

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.config.settings")

app.conf.update(
    beat_scheduler="panel.config.beat:SteadyScheduler",
    beat_schedule={
        "resync": {"task": "panel.resync", "schedule": 2.0, "options": {"expires": 4}},
        "stacks": {"task": "panel.stacks", "schedule": 2.0, "options": {"expires": 4}},
        "jobs": {"task": "panel.jobs", "schedule": 4.0, "options": {"expires": 8}},
        "domains": {"task": "panel.domains", "schedule": 4.0, "options": {"expires": 4}},
        "domains-owned": {"task": "panel.domains_owned", "schedule": 30.0, "options": {"expires": 30}},
        "jail_bases": {"task": "panel.jail_bases", "schedule": 2.0, "options": {"expires": 4}},
        "stages": {"task": "panel.stages", "schedule": 2.0, "options": {"expires": 4}},
        "release": {"task": "panel.release", "schedule": 30.0, "options": {"expires": 30}},
        "tenants": {"task": "panel.delete_tenants", "schedule": 15.0, "options": {"expires": 15}},
        "plans": {"task": "panel.roll_plans", "schedule": 30.0, "options": {"expires": 30}},
        "traffic": {"task": "panel.traffic", "schedule": 60.0, "options": {"expires": 60}},
        "usage-history": {"task": "panel.usage_history", "schedule": 900.0, "options": {"expires": 900}},
        "quota-alerts": {"task": "panel.quota_alerts", "schedule": 10.0, "options": {"expires": 10}},
        "quota-peaks": {"task": "panel.quota_peaks", "schedule": 60.0, "options": {"expires": 60}},
        "housekeeping": {"task": "panel.housekeeping", "schedule": 600.0, "options": {"expires": 600}},
    },
)
app.steps["consumer"].add(TakeBack)
app.autodiscover_tasks(
    [
        "panel.environments",
        "panel.nodes",
        "panel.jobs",
        "panel.stacks",
        "panel.networks",
        "panel.tenancy",
        "panel.offers",
        "panel.metering",
        "panel.quotas",
        "panel.config",
    ]
)


@setup_logging.connect
def _keep_our_logs(**_: Any) -> None:
    """Django's settings have set up the logs already; Celery must not do so again."""


@task_prerun.connect
def _look_after_connections(**_: Any) -> None:
    """What Django does before each request: a connection that failed, or is too old, isn't used again."""
    close_old_connections()

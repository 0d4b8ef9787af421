"""The panel's Celery application. A message only says "look": rows are the record, results aren't kept."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_prerun
from kombu import Queue

from runtime.contract import PANEL_QUEUE, REPORT_QUEUE
from runtime.contract.broker import CONNECT_S, TakeBack, transport_options

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.config.settings")


app = Celery("panel")


@app.on_configure.connect
def _find_broker(**_: Any) -> None:
    """Reads the broker's address from Django's settings, late."""
    from django.conf import settings  # noqa: PLC0415

    app.conf.update(broker_url=settings.WADAH.broker_url)


app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_time_limit=120,
    task_soft_time_limit=100,
    broker_transport_options=transport_options(PANEL_QUEUE),
    broker_connection_timeout=CONNECT_S,
    worker_consumer="runtime.contract.broker:Consumer",
    # Celery opens the database anew for each task (6 ms of the 90 from a click to what it shows); see below
    CELERY_DB_REUSE_MAX=2000,
    broker_connection_retry_on_startup=True,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    worker_max_tasks_per_child=5000,
    worker_hijack_root_logger=False,
    worker_enable_remote_control=False,
    task_default_queue=PANEL_QUEUE,
    task_queues=[Queue(PANEL_QUEUE), Queue(REPORT_QUEUE)],
    task_create_missing_queues=True,
    beat_scheduler="panel.config.beat:SteadyScheduler",
    beat_schedule={
        "resync": {"task": "panel.resync", "schedule": 2.0, "options": {"expires": 4}},
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
        "panel.images",
        "panel.networks",
        "panel.tenants",
        "panel.plans",
        "panel.metering",
        "panel.quotas",
        "panel.api",
        "panel.accounts",
    ]
)


@setup_logging.connect
def _keep_our_logs(**_: Any) -> None:
    """Django's settings have set up the logs already; Celery must not do so again."""


@task_prerun.connect
def _look_after_connections(**_: Any) -> None:
    """What Django does before each request: a connection that failed, or is too old, isn't used again."""
    from django.db import close_old_connections  # noqa: PLC0415

    close_old_connections()

"""The panel's Celery application: how messages travel. `panel.config.celery` says what works on them, and when.

A message only says "look": rows are the record, results aren't kept.
"""

from typing import Any

from celery import Celery
from django.conf import settings
from kombu import Queue

from runtime.contract import PANEL_QUEUE, REPORT_QUEUE
from runtime.contract.transport import CONNECT_S, transport_options

app = Celery("panel")


@app.on_configure.connect
def _find_broker(**_: Any) -> None:
    """Reads the broker's address from Django's settings, late."""
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
    worker_consumer="runtime.contract.transport:Consumer",
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
)

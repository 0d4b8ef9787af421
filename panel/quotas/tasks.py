"""What the beat does for quotas."""

from celery import shared_task

from panel.quotas import alerts


@shared_task(name="panel.quota_alerts")
def quota_alerts() -> None:
    """Tell of quotas that fill up."""
    alerts.sweep()

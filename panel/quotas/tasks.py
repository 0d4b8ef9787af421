"""What the beat does for quotas."""

from celery import shared_task

from panel.quotas import alerts, peaks


@shared_task(name="panel.quota_alerts")
def quota_alerts() -> None:
    """Tell of quotas that fill up."""
    alerts.sweep()


@shared_task(name="panel.quota_peaks")
def quota_peaks() -> None:
    """Note the most that was ever in use."""
    peaks.note_peaks()

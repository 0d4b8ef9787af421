"""What the beat does for tenants."""

from celery import shared_task

from panel.clock.services import follow
from panel.tenancy import lifecycle, peaks


@shared_task(name="panel.delete_tenants")
def delete_tenants() -> None:
    """Tenants whose waiting time is over."""
    follow()
    lifecycle.delete_due()


@shared_task(name="panel.quota_peaks")
def quota_peaks() -> None:
    """Note the most that was ever in use."""
    peaks.note_peaks()

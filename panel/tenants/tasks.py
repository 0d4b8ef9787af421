"""What the beat does for tenants."""

from celery import shared_task

from panel.clock.services import follow
from panel.tenants import lifecycle


@shared_task(name="panel.delete_tenants")
def delete_tenants() -> None:
    """Tenants whose waiting time is over."""
    follow()
    lifecycle.delete_due()

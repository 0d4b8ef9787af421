"""What the beat does for traffic."""

from celery import shared_task

from panel.metering import services


@shared_task(name="panel.traffic")
def traffic() -> None:
    """Lift what a new month or a larger plan has ended."""
    services.undo_past()

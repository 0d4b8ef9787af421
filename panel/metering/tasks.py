"""What the beat does for traffic."""

from celery import shared_task

from panel.metering import history, services


@shared_task(name="panel.traffic")
def traffic() -> None:
    """Lift what a new month or a larger plan has ended."""
    services.undo_past()


@shared_task(name="panel.usage_history")
def usage_history() -> None:
    """Forget what is older than the graphs show."""
    history.forget_past()

"""What the beat does for plans."""

from celery import shared_task

from panel.offers import rolling


@shared_task(name=rolling.ROLL)
def roll_plans() -> None:
    """Give new versions to those that follow."""
    rolling.roll()

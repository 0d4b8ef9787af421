"""What the beat does for the whole installation."""

from celery import shared_task

from panel.accounts.sessions import forget_over
from panel.api.key_rows import forget_old
from panel.clock.services import follow
from panel.images import archives
from panel.operations.services import forget_past
from panel.people.tokens import forget_ended


@shared_task(name="panel.housekeeping")
def housekeeping() -> None:
    """Slow things, every ten minutes."""
    follow()
    archives.sweep()
    forget_old()
    forget_over()
    forget_past()
    forget_ended()

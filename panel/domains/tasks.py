"""What workers do for domains."""

from uuid import UUID

from celery import shared_task

from panel.domains import owning, table
from panel.queue import app


@shared_task(name="panel.domains")
def domains() -> None:
    """Every four seconds, and after each change: the front goes by what is so."""
    table.write()


@shared_task(name="panel.domains_owned")
def domains_owned() -> None:
    """Every half minute: names that wait for their proof."""
    owning.look_again()


@shared_task(name="panel.domain_owned")
def domain_owned(pk: str) -> None:
    """Somebody asks for it now."""
    owning.check(UUID(pk))


def ask_to_look(pk: UUID) -> None:
    app.send_task("panel.domain_owned", args=[str(pk)], retry=False)

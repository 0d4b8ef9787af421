"""What workers do for domains."""

import threading

from celery import shared_task
from django.db import connections

from panel.domains import owning, table
from panel.queue import app

_wanted, _at_work = threading.Event(), threading.Lock()


@shared_task(name="panel.domains")
def domains() -> None:
    """Every four seconds, and after each change: the front goes by what is so."""
    table.write()


@shared_task(name="panel.domains_owned")
def domains_owned() -> None:
    """Every half minute, and when somebody asks: names that wait for their proof.

    By a thread of this worker's, one at a time: name servers are strangers', and while they take their time
    what nodes report goes on.
    """
    _wanted.set()
    if not _at_work.locked():
        threading.Thread(target=_look, name="domains owned", daemon=True).start()


def _look() -> None:
    while _wanted.is_set() and _at_work.acquire(blocking=False):
        try:
            _wanted.clear()
            owning.look_again()
        finally:
            _at_work.release()
            connections.close_all()


@shared_task(name="panel.domain_owned")
def domain_owned(_pk: str) -> None:
    """As a worker of before asked for it."""
    domains_owned()


def ask_to_look() -> None:
    app.send_task("panel.domains_owned", retry=False, expires=30)

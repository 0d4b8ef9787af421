"""What supervisors and Prometheus look at. None of it needs a sign-in; none of it names a tenant."""

import sqlite3

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from panel.clock.steady import BEAT_KEY, age_of
from panel.config.cache import redis_trouble
from panel.environments.models import Environment
from panel.http.client import client_address, is_of_this_machine
from panel.http.database import DATABASE
from panel.nodes.models import Node
from panel.operations.models import OPEN_STATES, Operation
from panel.rights.asking import actor_of

#: A beat that was not heard of for longer stands still.
BEAT_MAX_AGE_S = 60.0
_LOCK_PATIENCE_MS = 1500


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. No I/O."""
    return JsonResponse({"status": "ok"})


def check_database() -> str:
    if DATABASE.is_away:
        return "database: does not answer"
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        DATABASE.failed(error)
        return f"database: {type(error).__name__}"
    return "database: locked by somebody, nothing can be written" if _is_locked() else ""


def _is_locked() -> bool:
    """Whether somebody holds SQLite's one lock for writers for longer than a moment."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return DATABASE.is_locked
    raw = connection.connection
    before = raw.execute("PRAGMA busy_timeout").fetchone()[0]
    try:
        raw.execute(f"PRAGMA busy_timeout = {_LOCK_PATIENCE_MS}")
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    finally:
        raw.execute(f"PRAGMA busy_timeout = {before}")
    return False


def check_redis_and_beat() -> str:
    trouble = redis_trouble()
    if trouble:
        return f"redis: {trouble}"
    age_s = age_of(cache.get(BEAT_KEY))
    if age_s is None or age_s > BEAT_MAX_AGE_S:
        return "beat: not heard of for more than a minute"
    return ""


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Database, Redis and background work: 503 when one of them is missing; the causes for this machine alone,
    and for who shows an administrator's token."""
    problems = [problem for problem in (check_database(), check_redis_and_beat()) if problem]
    said: dict[str, object] = {"status": "ready" if not problems else "not ready"}
    if is_of_this_machine(client_address(request.META)) or may_see_causes(request):
        said["problems"] = problems
    return JsonResponse(said, status=503 if problems else 200)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """A few gauges from the database, for Prometheus, which shows an administrator's token."""
    if not may_read_metrics(request):
        return JsonResponse({"detail": "metrics need an administrator's token"}, status=401)
    registry = CollectorRegistry()
    environments = Gauge("wadah_environments", "By observed state", ["state"], registry=registry)
    rows = Environment.objects.filter(deleted_at=None).values_list("observed_state").annotate(n=Count("id"))
    for state, count in rows:
        environments.labels(state or "unknown").set(count)
    Gauge("wadah_operations_open", "Not finished", registry=registry).set(
        Operation.objects.filter(state__in=OPEN_STATES).count()
    )
    seen = Gauge("wadah_node_last_seen_seconds", "Unix time of its last report", ["node"], registry=registry)
    leaks = Gauge("wadah_node_leaks", "Objects that nobody wants", ["node"], registry=registry)
    for node in Node.objects.all():
        seen.labels(node.name).set(node.last_seen_at.timestamp() if node.last_seen_at else 0)
        leaks.labels(node.name).set(node.leaks)
    return HttpResponse(generate_latest(registry), content_type="text/plain; version=0.0.4")


def may_see_causes(request: HttpRequest) -> bool:
    """Asks the database only for who shows a token."""
    if DATABASE.is_away or "Authorization" not in request.headers:
        return False
    try:
        return may_read_metrics(request)
    except DatabaseError:
        return False


def may_read_metrics(request: HttpRequest) -> bool:
    """A bearer token or session of an administrator of the installation."""
    actor = actor_of(request)
    return settings.DEBUG or (actor is not None and actor.is_platform_administrator)

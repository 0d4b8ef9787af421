"""What workers do for updates of bases: as far as each goes now. A lost message costs two seconds."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from celery import shared_task
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from panel import words
from panel.circuit_breaker import BROKER
from panel.environments.models import Environment
from panel.errors import NodeAway, Refused
from panel.jails import base_rolling
from panel.jails.models import BaseUpdate, BaseUpdateState
from panel.nodes.agent import Agent
from panel.operations.models import OperationState
from panel.queue import app

log = structlog.get_logger()

#: Of a command that must end with 0.
COMMAND_WITHIN_S = 60.0
#: A node that can't be asked for longer fails the update.
_NODE_BACK_WITHIN = timedelta(minutes=2)
#: No other worker asks meanwhile.
_ALONE_S = 90
_MOST_STEPS = 500


def go_on_soon(pk: UUID) -> None:
    """After the running transaction commits."""

    def send() -> None:
        if BROKER.hangs:
            return
        try:
            app.send_task("panel.jail_base_update", args=[str(pk)], retry=False)
        except Exception as error:  # Redis is away: the beat does it
            log.warning("update of bases not told of", error=type(error).__name__)

    transaction.on_commit(send, robust=True)


@shared_task(name="panel.jail_bases")
def jail_bases() -> None:
    """Every two seconds. One that can't be gone on with holds up no other."""
    for pk in base_rolling.unfinished():
        try:
            go_on(pk)
        except Exception:  # the edge: whatever it was, it is tried again
            log.exception("update of bases not gone on with", update=str(pk))


@shared_task(name="panel.jail_base_update")
def jail_base_update(pk: str) -> None:
    go_on(UUID(pk))


def go_on(pk: UUID) -> None:
    """As far as it goes without waiting."""
    row = BaseUpdate.objects.filter(pk=pk).select_related("operation", "tenant").first()
    if row is not None and row.state == BaseUpdateState.CHECKING:
        _alone(row, _find_builds)
    for _number in range(_MOST_STEPS):
        if not base_rolling.step(pk):
            break
    row = BaseUpdate.objects.filter(pk=pk).select_related("operation", "tenant").first()
    if row is not None and row.state == BaseUpdateState.ROLLING and row.todo and row.is_asked:
        environment = base_rolling.at_hand(row)
        if environment is None or not base_rolling.is_up(row, environment):
            return
        if base_rolling.is_to_be_proven(row, environment):
            _alone(row, _prove)


def _alone(row: BaseUpdate, work: Any) -> None:
    """Once at a time: nodes are asked."""
    key = f"base-update-{row.pk}"
    if cache.add(key, 1, _ALONE_S):
        try:
            work(row)
        finally:
            cache.delete(key)


def _find_builds(row: BaseUpdate) -> None:
    """Which build each is to come to; those that are there already have nothing to do."""
    jails = list(Environment.objects.in_use().filter(pk__in=row.before).select_related("tenant", "node"))
    asked = [(Agent(one.node), one.pk, one.tenant.payer) for one in jails]
    user = row.operation.who_name or "wadah"

    async def ask() -> list[dict[str, Any]]:
        return [await agent.jail_base(pk, user=user, tenant_id=payer) for agent, pk, payer in asked]

    problem, after = "", {}
    try:
        said = asyncio.run(ask())
        after = {
            str(one.pk): seen["newest"]
            for one, seen in zip(jails, said, strict=True)
            if seen["newest"] and seen["newest"] != seen["now"]
        }
    except NodeAway as away:
        if row.since is not None and timezone.now() < row.since + _NODE_BACK_WITHIN:
            return
        problem = str(away)
    except Refused as refused:
        problem = str(refused)
    with transaction.atomic():
        rows = BaseUpdate.objects.select_for_update(of=("self",)).select_related("tenant", "operation")
        held = rows.filter(pk=row.pk, state=BaseUpdateState.CHECKING).first()
        if held is None:
            return
        if problem:
            held.state, held.problem, held.todo = BaseUpdateState.FAILED, problem[:400], []
            base_rolling.finish(held, OperationState.FAILED, words.check_failed(problem[:400]))
        elif not after:
            held.state, held.todo = BaseUpdateState.DONE, []
            base_rolling.finish(held, OperationState.SUCCEEDED, words.bases_are_newest())
        else:
            held.state, held.after = BaseUpdateState.ROLLING, after
            held.todo = [pk for pk in held.todo if pk in after]
            held.before = {pk: held.before[pk] for pk in after}
        held.save()


def _prove(row: BaseUpdate) -> None:
    one = base_rolling.at_hand(row)
    if one is None:
        return
    agent, user, payer = Agent(one.node), row.operation.who_name or "wadah", one.tenant.payer

    async def run() -> str:
        done = await agent.execute(
            one.pk, list(row.command), user=user, tenant_id=payer, timeout_s=COMMAND_WITHIN_S, stdin=""
        )
        if done["exit_code"] == 0 and not done.get("timed_out"):
            return ""
        said = f"{done['stdout']}{done['stderr']}".strip().splitlines()[-1:]
        return f"the command ended with {done['exit_code']}" + (f": {said[0][:200]}" if said else "")

    try:
        problem = asyncio.run(run())
    except NodeAway:
        return  # asked again in a moment, and given up with the jail's time
    except Refused as refused:
        problem = f"the command could not run: {refused}"
    base_rolling.prove(row.pk, one.pk, row.generation, problem)

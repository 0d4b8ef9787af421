"""What workers do for rollouts: as far as each goes now. A lost message costs two seconds."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

import structlog
from celery import shared_task
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from panel import words
from panel.circuit_breaker import BROKER
from panel.errors import NodeAway, Refused
from panel.nodes.agent import Agent
from panel.operations.models import OperationState
from panel.queue import app
from panel.stages import rolling
from panel.stages.models import Rollout, RolloutState

log = structlog.get_logger()

#: Of a command that must exit with 0.
COMMAND_WITHIN_S = 60.0
#: A node that can't be asked for longer fails the check.
_NODE_BACK_WITHIN = timedelta(minutes=2)
_HELD_S = 10
_MOST_STEPS = 100


def go_on_soon(pk: UUID) -> None:
    """After the running transaction commits."""

    def send() -> None:
        if BROKER.hangs:
            return
        try:
            app.send_task("panel.stage_rollout", args=[str(pk)], retry=False)
        except Exception as error:  # Redis is away: the beat does it
            log.warning("rollout not told of", error=type(error).__name__)

    transaction.on_commit(send, robust=True)


@shared_task(name="panel.stages")
def stages() -> None:
    """Every two seconds. One that can't be gone on with holds up no other."""
    for pk in rolling.unfinished():
        try:
            go_on(pk)
        except Exception:  # the edge: whatever it was, it is tried again
            log.exception("rollout not gone on with", rollout=str(pk))


@shared_task(name="panel.stage_rollout")
def stage_rollout(pk: str) -> None:
    go_on(UUID(pk))


def go_on(pk: UUID) -> None:
    """As far as it goes without waiting."""
    row = Rollout.objects.filter(pk=pk).select_related("source", "stage").first()
    if row is not None and row.state == RolloutState.CHECKING:
        _check(row)
    for _number in range(_MOST_STEPS):
        if not rolling.step(pk):
            return


def _check(row: Rollout) -> None:
    """Once at a time: the command may take a minute."""
    with _alone(f"rollout-check-{row.pk}") as is_mine:
        if not is_mine:
            return
        try:
            problem = _problem(row)
        except NodeAway as away:
            if row.phase_at is not None and timezone.now() < row.phase_at + _NODE_BACK_WITHIN:
                return  # its agent is just being started again
            problem = f"the command could not run: {away}"
    with transaction.atomic():
        held = Rollout.objects.select_for_update().filter(pk=row.pk, state=RolloutState.CHECKING).first()
        if held is None:
            return
        held = Rollout.objects.select_related("stage__tenant", "operation").get(pk=row.pk)
        if problem:
            held.state, held.problem = RolloutState.FAILED, problem[:400]
            rolling.finish(held, OperationState.FAILED, words.check_failed(problem[:400]))
        else:
            needs_yes = row.source is not None and row.source.needs_yes
            held.state = RolloutState.WAITING if needs_yes else RolloutState.ROLLING
        held.save()


@contextmanager
def _alone(key: str) -> Iterator[bool]:
    """Whether nobody else is at it. A worker that dies meanwhile has it for ten seconds more, and not for as
    long as it might have taken."""
    if not cache.add(key, 1, _HELD_S):
        yield False
        return
    is_over = threading.Event()

    def hold() -> None:
        while not is_over.wait(_HELD_S / 3):
            cache.touch(key, _HELD_S)

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    try:
        yield True
    finally:
        is_over.set()
        holder.join()
        cache.delete(key)


def _problem(row: Rollout) -> str:
    """Why what the source runs may not go on; empty: it may."""
    if row.source is None:
        return "the stage that it came from is gone"
    copies = rolling.copies_of(row.source)
    if not copies or any(rolling.running_image(one) != row.image for one in copies):
        return f"{row.source.name} runs something else by now"
    if row.source.needs_health:
        for one in copies:
            if not rolling.is_well(one):
                return f"{one.name} isn't well"
    return _command(row) if row.source.command else ""


def _command(row: Rollout) -> str:
    assert row.source is not None
    one, command = rolling.copies_of(row.source)[0], list(row.source.command)
    # all that the database is asked for, since within `run` it can't be
    agent, user, payer = Agent(one.node), row.operation.who_name or "wadah", one.tenant.payer

    async def run() -> str:
        done = await agent.execute(
            one.pk, command, user=user, tenant_id=payer, timeout_s=COMMAND_WITHIN_S, stdin=""
        )
        if done["exit_code"] == 0 and not done.get("timed_out"):
            return ""
        said = f"{done['stdout']}{done['stderr']}".strip().splitlines()[-1:]
        return f"the command ended with {done['exit_code']}" + (f": {said[0][:200]}" if said else "")

    try:
        return asyncio.run(run())
    except NodeAway:
        raise
    except Refused as refused:
        return f"the command could not run: {refused}"

"""The work of stacks, brought forward: by what the database has, and nothing that a process remembers.

One look does what can be done now, and is over. The next comes with the next report of one of its environments,
and every two seconds while an operation of a stack is open. So it is safe to be killed anywhere.
"""

from functools import lru_cache
from uuid import UUID

import structlog
from celery import shared_task
from django.db import transaction
from django.utils import timezone

from panel import words
from panel.errors import Refused
from panel.operations import services as operations
from panel.operations.models import OPEN_STATES, Operation, OperationState, SubjectType
from panel.queue import app
from panel.rights.actor import Actor
from panel.stacks.compose import ComposeRefused, Project, read
from panel.stacks.models import Stack, Wanted
from panel.stacks.names import tell
from panel.stacks.steps import Failed, Pass
from runtime.contract.said import NOTHING, Said

log = structlog.get_logger()

LOOK = "panel.stacks"
#: Of one tick of the beat.
_MOST_PER_TICK = 200


def look_on_commit(stack_id: UUID) -> None:
    """At once; what is lost here the beat makes up for."""

    def send() -> None:
        try:
            app.send_task(LOOK, args=[str(stack_id)], retry=False)
        except Exception as error:  # the broker is away: the beat does it
            log.warning("look at a stack not sent", stack=str(stack_id), error=type(error).__name__)

    transaction.on_commit(send, robust=True)


@shared_task(name=LOOK)
def look_after(stack_id: str = "") -> None:
    """One stack; without an id those whose operation is open."""
    if stack_id:
        look(UUID(stack_id))
        return
    open_ones = Operation.objects.filter(subject_type=SubjectType.STACK, state__in=OPEN_STATES)
    for pk in list(open_ones.order_by("created_at").values_list("subject_id", flat=True)[:_MOST_PER_TICK]):
        try:
            look(UUID(pk))
        except Exception:  # the edge: one stack's trouble holds up no other
            log.exception("stack not looked at", stack=pk)


def look_at_all() -> None:
    """For what no report told of: names that are others now."""
    for pk in list(Stack.objects.values_list("pk", flat=True)):
        look(pk)


def look(stack_id: UUID) -> None:
    """Does what can be done for it now; a no-op where that is nothing."""
    with transaction.atomic():
        stack = (
            Stack.objects.select_related("tenant", "node")
            .select_for_update(of=("self",))
            .filter(pk=stack_id)
            .first()
        )
        if stack is None:
            return
        newest = Operation.objects.select_related("who").filter(pk=stack.operation_id or UUID(int=0))
        operation = newest.first()
        if operation is None or not operation.is_open:
            _only_names(stack)
            return
        try:
            with transaction.atomic():
                _bring_forward(stack, operation)
        except Refused as refused:
            said = f"{refused.message} {refused.next_step}".strip()
            _fail(operation, refused.code, Said(said[:1000]))
        except Failed as failed:
            _fail(operation, failed.code, failed.said, failed.next_step)


def _only_names(stack: Stack) -> None:
    members = list(stack.members.select_related("environment"))
    project = _known(stack.pk, stack.version) if members and stack.wanted != Wanted.DELETED else None
    if project is not None:
        tell(stack, project, members)


@lru_cache(maxsize=2048)
def _known(stack_id: UUID, _version: int) -> Project | None:
    """Of a locked stack, read once for each version: all are looked at every half minute, and a long file takes
    a part of a second. None: of an edition of the panel that takes less; what runs goes on."""
    try:
        return read(Stack.objects.get(pk=stack_id).source)
    except ComposeRefused:
        return None


def _bring_forward(stack: Stack, operation: Operation) -> None:
    project = _project_of(stack)
    who = operation.who
    if who is None or not who.is_active:
        raise Failed("asker_gone", words.asker_gone(), words.ask_for_it_anew())
    here = Pass(stack, project, operation, Actor(who, address=operation.from_where))
    is_done = here.go()
    here.note()
    if is_done:
        operations.close(operation, OperationState.SUCCEEDED)
        if stack.wanted == Wanted.DELETED:
            stack.delete()
    elif operation.deadline <= timezone.now():
        waiting = ", ".join(here.waiting[:5]) or stack.name
        raise Failed("deadline_passed", words.stack_waited(waiting), words.look_at_what_it_waits_for())


def _project_of(stack: Stack) -> Project:
    """Of one that is being deleted, whatever its file says."""
    try:
        return read(stack.source)
    except ComposeRefused as refused:
        if stack.wanted == Wanted.DELETED:
            return Project((), (), ())
        first = refused.problems[0]
        raise Failed(
            "compose_refused", words.of_one(first.place, first.text) if first.place else first.text
        ) from refused


def _fail(operation: Operation, code: str, message: Said, next_step: Said = NOTHING) -> None:
    operations.close(operation, OperationState.FAILED, code=code, message=message, next_step=next_step)

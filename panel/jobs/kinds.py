"""What is done by jobs: each app says it of its own when it is ready."""

from typing import Protocol

from panel.jobs.models import Job
from panel.operations.models import Operation
from panel.rights.actor import Actor
from runtime.contract import JobReport


class JobKind(Protocol):
    """Operations of one kind, about subjects of one type, that nodes do as jobs."""

    def require(self, actor: Actor, operation: Operation) -> None:
        """Raises `Forbidden` for who may not ask for it, nor take it back."""

    def again(self, actor: Actor, operation: Operation) -> Operation | None:
        """Asks for the same once more, of one that has failed; `retry_of` is that one. None: there is nothing
        left to be done. Raises a `Refused`."""

    def hold(self, operation: Operation) -> None:
        """Locks the row that it is about, if that is still there: always before the job's, so that nobody waits
        in a circle."""

    def reported(self, job: Job, report: JobReport) -> None:
        """A newer report is taken in, within its transaction and before its operation is changed; subject and
        job are locked. Of one with an `outcome` it is the last."""


#: By type of the subject and kind of the operation; filled by `panel.jobs.services.done_by_job`.
KINDS: dict[tuple[str, str], JobKind] = {}


def kind_of(operation: Operation) -> JobKind:
    return KINDS[operation.subject_type, operation.kind]

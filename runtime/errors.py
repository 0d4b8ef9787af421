"""One family of faults: each with a code that stays, a sentence for a person and a next step."""

from runtime.contract.said import NOTHING, Said


class RuntimeFault(Exception):
    """Something on the node can't be made so.

    `code` is stable and people script against it; `said` is the sentence, one of `runtime.contract.words`, and
    `str(fault)` its English; `next_step` says what the person can do; `retryable` is False when trying again
    can't help.
    """

    code = "fault"
    retryable = True

    def __init__(
        self, said: Said, *, code: str | None = None, next_step: Said = NOTHING, retryable: bool | None = None
    ):
        super().__init__(said)
        self.said = said
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable
        self.next_step = next_step

    def __str__(self) -> str:
        return str(self.said)


class Superseded(RuntimeFault):
    """A newer generation of the same environment arrived while this one was at work."""

    code = "superseded"


class DeadlinePassed(RuntimeFault):
    code = "deadline_passed"


class HostLacks(RuntimeFault):
    """The host has not what this needs; `doctor` says what mends it."""

    code = "host_lacks"


class CommandFailed(RuntimeFault):
    """A tool ended with an error or ran past its deadline."""

    code = "command_failed"

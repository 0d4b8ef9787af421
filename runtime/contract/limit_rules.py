"""What is done when an environment has so much of something: rules as of rctl(8), `memory_mb:sigterm=200`.

What the kernel denies or slows down are the limits themselves; a rule tells of it, or signals who has most.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import StringConstraints

MOST_RULES: Final = 16

RuleText = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,80}$", max_length=80)]
_RULE = re.compile(r"([a-z_]+):([a-z0-9]+)=([0-9]{1,9}(?:\.[0-9]{1,3})?)")


class Counted(StrEnum):
    """In the units of limits."""

    CPU = "cpu"
    """Processors in use, over five seconds."""
    MEMORY = "memory_mb"
    SWAP = "swap_mb"
    DISK = "disk_mb"
    PROCESSES = "processes"


LOG: Final = "log"
SIGNALS: Final = {"sighup": 1, "sigint": 2, "sigkill": 9, "sigusr1": 10, "sigusr2": 12, "sigterm": 15}
#: Of what it can be told which process has most.
SIGNALLED: Final = frozenset({Counted.CPU, Counted.MEMORY})


class RuleFault(StrEnum):
    """Why something is no rule."""

    UNREADABLE = "unreadable"
    RESOURCE = "resource"
    ACTION = "action"
    DENIES = "denies"
    """The limit of that name denies."""
    CPU_IS_NOT_DENIED = "cpu_is_not_denied"
    THROTTLES = "throttles"
    """The limit of that name slows down."""
    NO_THROTTLE = "no_throttle"
    NOBODY = "nobody"
    """Which process has most of it can't be told."""


class NoRule(ValueError):
    def __init__(self, fault: RuleFault, name: str):
        super().__init__(f"{fault}: {name}")
        self.fault, self.name = fault, name


@dataclass(frozen=True, slots=True)
class Rule:
    of: Counted
    amount: float
    signal: int | None
    """None: it is told alone."""


def read_rule(text: str) -> Rule:
    """Raises `NoRule`."""
    found = _RULE.fullmatch(text)
    if found is None:
        raise NoRule(RuleFault.UNREADABLE, text[:80])
    name, action, amount = found.groups()
    if name not in set(Counted):
        raise NoRule(RuleFault.RESOURCE, name)
    of = Counted(name)
    if action == "deny":
        raise NoRule(RuleFault.CPU_IS_NOT_DENIED if of is Counted.CPU else RuleFault.DENIES, name)
    if action == "throttle":
        raise NoRule(RuleFault.THROTTLES if of is Counted.CPU else RuleFault.NO_THROTTLE, name)
    if action != LOG and action not in SIGNALS:
        raise NoRule(RuleFault.ACTION, action)
    if action in SIGNALS and of not in SIGNALLED:
        raise NoRule(RuleFault.NOBODY, name)
    return Rule(of, float(amount), SIGNALS.get(action))

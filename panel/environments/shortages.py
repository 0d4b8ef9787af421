"""What an environment is short of, in words, with what to do: by its limits and its newest use."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from panel.environments.models import EnvironmentUsage
from panel.ui.templatetags.wadah import bytes_text
from runtime.contract import Limits

#: Shares of a limit from which on one is told.
_NEARLY, _ALL = 0.9, 0.98
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Shortage:
    what: str
    """`disk`, `memory`, `processes` or `cpu`."""
    sentence: str
    next_step: str


def shortages(limits: Limits, usage: EnvironmentUsage | None) -> list[Shortage]:
    """The worst first; none while nothing is known of its use."""
    if usage is None:
        return []
    return [
        one
        for one in (
            _disk(limits, usage),
            _memory(limits, usage),
            _processes(limits, usage),
            _cpu(limits, usage),
        )
        if one
    ]


def _disk(limits: Limits, usage: EnvironmentUsage) -> Shortage | None:
    most = limits.disk_mb * _MIB
    if usage.disk_bytes < most * _NEARLY:
        return None
    return Shortage(
        "disk",
        _("The disk is nearly full: %(used)s of %(most)s. When it is, nothing more can be written.")
        % {"used": bytes_text(usage.disk_bytes), "most": bytes_text(most)},
        _("“du -xh / | sort -h | tail” shows what is large: delete some, or give it more disk in Settings."),
    )


def _memory(limits: Limits, usage: EnvironmentUsage) -> Shortage | None:
    most = limits.memory_mb * _MIB
    if usage.memory_bytes < most * _NEARLY:
        return None
    return Shortage(
        "memory",
        _("The memory is nearly used up: %(used)s of %(most)s. Then the kernel ends a process.")
        % {"used": bytes_text(usage.memory_bytes), "most": bytes_text(most)},
        _("See in Processes what holds it, or give it more memory in Settings: at once, without a restart."),
    )


def _processes(limits: Limits, usage: EnvironmentUsage) -> Shortage | None:
    if usage.processes < limits.processes * _NEARLY:
        return None
    return Shortage(
        "processes",
        _("It has %(used)s of %(most)s processes and threads. When it has all, none can be started.")
        % {"used": usage.processes, "most": limits.processes},
        _("See in Processes what starts so many, or raise the limit in Settings."),
    )


def _cpu(limits: Limits, usage: EnvironmentUsage) -> Shortage | None:
    if usage.cpu < limits.cpu * _ALL:
        return None
    return Shortage(
        "cpu",
        _("It computes as much as it may: what it does waits for a processor."),
        _("See in Processes what computes, or give it more vCPU in Settings."),
    )

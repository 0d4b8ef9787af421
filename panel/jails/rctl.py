"""Rules of rctl(8) for the jails of a file, in this panel's limits and rules; what can't be had is left out by
line, with why."""

import re
from collections.abc import Sequence
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel.jails.conf import BadConf
from panel.jails.meaning import Remark, Wanted
from runtime.contract.limit_rules import LOG, MOST_RULES, SIGNALLED, SIGNALS, Counted

#: Of a file of rules.
MOST_LINES = 2000

_LINE = re.compile(r"([a-z]+):([^:]*):([a-z]+):([a-z0-9]+)=([0-9]+)([kmgt]?)(?:/([a-z]+))?", re.IGNORECASE)
_UNIT: Final = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_MIB, _PERCENT, _ONE = 2**20, 100, 1
#: To what is counted here, and how many of its units one of ours is.
_COUNTED: Final = {
    "memoryuse": (Counted.MEMORY, _MIB),
    "swapuse": (Counted.SWAP, _MIB),
    "maxproc": (Counted.PROCESSES, _ONE),
    "nthr": (Counted.PROCESSES, _ONE),
    "pcpu": (Counted.CPU, _PERCENT),
}
#: Rates, which are limits that slow down.
_RATES: Final = {
    "readbps": "disk_read_bytes_s",
    "writebps": "disk_write_bytes_s",
    "readiops": "disk_read_iops",
    "writeiops": "disk_write_iops",
}
_NOT_HERE: Final[dict[str, Promise]] = {
    "vmemoryuse": gettext_lazy("addresses that nothing is at aren't counted; say memoryuse"),
    "memorylocked": gettext_lazy("locked memory counts as memory"),
    "openfiles": gettext_lazy("open files are limited for each process, inside (setrlimit(2))"),
    **dict.fromkeys(
        ("datasize", "stacksize", "coredumpsize", "cputime", "wallclock"),
        gettext_lazy("it is limited for each process, inside (setrlimit(2))"),
    ),
    **dict.fromkeys(
        ("pseudoterminals", "msgqqueued", "msgqsize", "nmsgq", "nsem", "nsemop", "nshm", "shmsize"),
        gettext_lazy("its number is the kernel's, and counts as memory"),
    ),
}


def lay_rules(jails: Sequence[Wanted], text: str) -> None:
    """Into the limits and rules of those jails. Raises `BadConf` for a line that is no rule of theirs."""
    by_name = {one.name: one for one in jails}
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        raise BadConf(MOST_LINES, _("rctl: %(most)s lines at most") % {"most": MOST_LINES})
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        found = _LINE.fullmatch(words)
        if found is None:
            raise BadConf(number, _("rctl: a rule is jail:NAME:RESOURCE:ACTION=AMOUNT"))
        subject, name, resource, action, digits, unit, per = (part or "" for part in found.groups())
        if subject != "jail" or name not in by_name:
            raise BadConf(
                number, _("rctl: %(name)s is no jail of this file") % {"name": f"{subject}:{name}"[:80]}
            )
        why = _lay(by_name[name], resource, action.lower(), int(digits[:15]) * _UNIT[unit.lower()], per)
        if why:
            by_name[name].left_out.append(Remark(number, f"rctl {resource}", why))


def amount_of(text: str) -> int | None:
    """Of 512m; None: it is no amount."""
    found = re.fullmatch(r"([0-9]{1,15})([kmgt]?)", text, re.IGNORECASE)
    return int(found[1]) * _UNIT[found[2].lower()] if found else None


def lay_limit(jail: Wanted, resource: str, amount: int) -> str:
    """As `_lay` what denies, or throttles a rate."""
    return _lay(jail, resource, "throttle" if resource in _RATES else "deny", amount, "")


def _lay(jail: Wanted, resource: str, action: str, amount: int, per: str) -> str:
    """Why it can't be had; empty when it is laid."""
    if per not in ("", "jail"):
        return _("what each %(per)s has isn't added up; a rule is of the whole jail") % {"per": per}
    if resource in _RATES:
        if action != "throttle":
            return _("a rate is slowed down (throttle), and nothing else")
        jail.limits[_RATES[resource]] = amount
        return ""
    if resource in _NOT_HERE:
        return str(_NOT_HERE[resource])
    if resource not in _COUNTED:
        return _("it is no resource of rctl(8)")
    of, unit = _COUNTED[resource]
    mine = amount / unit
    if action == "deny":
        jail.limits[of.value] = mine if of is Counted.CPU else max(1, round(mine))
        return ""
    return _lay_rule(jail, of, action, mine)


def _lay_rule(jail: Wanted, of: Counted, action: str, amount: float) -> str:
    if action == "throttle":
        return _("it can't be slowed down; say deny") if of is not Counted.CPU else _("pcpu:deny slows down")
    if action != LOG and action not in SIGNALS:
        return _("it can be denied, logged or signalled (%(signals)s)") % {"signals": ", ".join(SIGNALS)}
    if action in SIGNALS and of not in SIGNALLED:
        return _("which process has most of it can't be told, so none is signalled")
    if len(jail.rules) >= MOST_RULES:
        return _("a jail has %(most)s rules at most") % {"most": MOST_RULES}
    jail.rules.append(f"{of.value}:{action}={amount:.3f}".rstrip("0").rstrip("."))
    return ""

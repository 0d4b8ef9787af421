"""Rules of limits: who has more of something than was said is told of, and whoever has most of it signalled.

Once for each time that it comes to be so: it may come to be so again when it had a twentieth less meanwhile.
Who has it go up and down without end is followed within bounds, since each time costs the node and the panel.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from runtime.contract import Usage
from runtime.contract.limit_rules import Counted, NoRule, Rule, read_rule
from runtime.host.processes import Identity

_MIB = 2**20
_LESS = 0.95
#: Between two looks at who uses the processor, and processes of one environment that are looked at.
_LOOK_S, _MOST_PROCESSES = 0.2, 4096
#: Of one environment in so many seconds; and processes are looked for so often in one round, for all of them.
_MOST_TOLD, _TOLD_WITHIN_S, _MOST_LOOKS = 8, 60.0, 10
#: Environments whose rules are kept in mind.
_MOST_KNOWN = 10_000


class LimitRules:
    """Of one thread, which asks every few seconds. What it has told it doesn't know after a start any more."""

    def __init__(self, members: Callable[[UUID], Iterable[int]]):
        self._members = members
        self._over: dict[UUID, set[str]] = {}
        self._told: dict[UUID, deque[float]] = {}
        self._looks_left = _MOST_LOOKS
        self._processor: dict[UUID, tuple[float, int]] = {}

    def in_turn(self, usages: Iterable[Usage]) -> Sequence[Usage]:
        """Begins a round: who was told of longest ago comes first, so that nobody takes the looks of all."""
        self._looks_left = _MOST_LOOKS
        return sorted(usages, key=lambda one: max(self._told.get(one.environment_id, ()), default=0.0))

    def look(
        self, usage: Usage, rules: Iterable[str], now: float, *, may_signal: bool = True
    ) -> list[tuple[str, float, str]]:
        """The rules that came to be so, how much of it there is, and what the process is called that was
        signalled (empty: none). What is too much for now is followed in a later round, if it is still so."""
        owner, amounts, rules = usage.environment_id, self._amounts(usage, now), list(rules)
        over = self._over[owner] = self._over.get(owner, set()) & set(rules)
        found = []
        for text in rules:
            with suppress(NoRule):
                rule = read_rule(text)
                amount, signals = amounts.get(rule.of), may_signal and rule.signal is not None
                if amount is None:
                    continue
                if amount < rule.amount * _LESS:
                    over.discard(text)
                elif amount >= rule.amount and text not in over and self._may(owner, now, signals=signals):
                    over.add(text)
                    found.append((text, amount, self._signal(owner, rule) if signals else ""))
        return found

    def _may(self, owner: UUID, now: float, *, signals: bool) -> bool:
        told = self._told.setdefault(owner, deque(maxlen=_MOST_TOLD))
        is_free = len(told) < _MOST_TOLD or now - told[0] >= _TOLD_WITHIN_S
        if not is_free or (signals and self._looks_left <= 0):
            return False
        told.append(now)
        self._looks_left -= signals
        return True

    def _amounts(self, usage: Usage, now: float) -> Mapping[Counted, float]:
        if len(self._processor) > _MOST_KNOWN:
            self._processor.clear()
            self._over.clear()
            self._told.clear()
        before = self._processor.get(usage.environment_id)
        self._processor[usage.environment_id] = now, usage.cpu_ns
        found = {
            Counted.MEMORY: usage.memory_bytes / _MIB,
            Counted.SWAP: usage.swap_bytes / _MIB,
            Counted.DISK: usage.disk_bytes / _MIB,
            Counted.PROCESSES: float(usage.processes),
        }
        if before is not None and now > before[0] and usage.cpu_ns >= before[1]:
            found[Counted.CPU] = (usage.cpu_ns - before[1]) / 1e9 / (now - before[0])
        return found

    def _signal(self, owner: UUID, rule: Rule) -> str:
        if rule.signal is None:
            return ""
        most = self._most_memory(owner) if rule.of is Counted.MEMORY else self._most_processor(owner)
        with suppress(OSError):
            if most is not None and most.pid in set(self._members(owner)):
                name = _name(most.pid)
                most.send(rule.signal)
                return name
        return ""

    def _each(self, owner: UUID) -> list[Identity]:
        pids = sorted(self._members(owner))[:_MOST_PROCESSES]
        return [one for one in map(Identity.of, pids) if one is not None]

    def _most_memory(self, owner: UUID) -> Identity | None:
        """Pages of its own in memory: proc_pid_statm(5)."""
        return max(self._each(owner), key=lambda one: _number(one.pid, "statm", 1), default=None)

    def _most_processor(self, owner: UUID) -> Identity | None:
        before = {one: _ticks(one.pid) for one in self._each(owner)}
        time.sleep(_LOOK_S)
        return max(before, key=lambda one: _ticks(one.pid) - before[one], default=None)


def _number(pid: int, file: str, column: int) -> int:
    with suppress(OSError, IndexError, ValueError):
        return int(Path(f"/proc/{pid}/{file}").read_text().split()[column])
    return 0


def _ticks(pid: int) -> int:
    """Of user and system: proc_pid_stat(5)."""
    with suppress(OSError, IndexError, ValueError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(words[11]) + int(words[12])
    return 0


def _name(pid: int) -> str:
    """Whatever its owner calls it, in letters that are seen."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/comm").read_bytes().decode(errors="replace")
        return "".join(one for one in text if one.isprintable())[:32] or "?"
    return "?"

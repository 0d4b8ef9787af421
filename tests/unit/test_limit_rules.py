"""Rules of limits: which there are, and when one is followed."""

from uuid import UUID

import pytest

from runtime.agent import limit_rules
from runtime.agent.limit_rules import LimitRules
from runtime.contract import Usage
from runtime.contract.limit_rules import Counted, NoRule, Rule, RuleFault, read_rule

_ID = UUID(int=1)
_MIB = 2**20


def usage(**values: int | UUID) -> Usage:
    return Usage.model_validate({"environment_id": _ID, **values})


def test_a_rule_is_read() -> None:
    assert read_rule("memory_mb:sigterm=200") == Rule(Counted.MEMORY, 200, 15)
    assert read_rule("cpu:log=1.5") == Rule(Counted.CPU, 1.5, None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("memory_mb", RuleFault.UNREADABLE),
        ("memory_mb:log", RuleFault.UNREADABLE),
        ("memory_mb:log=-1", RuleFault.UNREADABLE),
        ("memory_mb:log=1e9", RuleFault.UNREADABLE),
        ("openfiles:log=1", RuleFault.RESOURCE),
        ("memory_mb:devctl=1", RuleFault.ACTION),
        ("memory_mb:sigstop=1", RuleFault.ACTION),
        ("memory_mb:deny=1", RuleFault.DENIES),
        ("cpu:deny=1", RuleFault.CPU_IS_NOT_DENIED),
        ("cpu:throttle=1", RuleFault.THROTTLES),
        ("memory_mb:throttle=1", RuleFault.NO_THROTTLE),
        ("processes:sigterm=1", RuleFault.NOBODY),
        ("disk_mb:sigkill=1", RuleFault.NOBODY),
    ],
)
def test_what_is_no_rule_says_why(text: str, fault: RuleFault) -> None:
    with pytest.raises(NoRule) as refused:
        read_rule(text)
    assert refused.value.fault is fault


def test_it_is_told_once_until_there_was_less() -> None:
    rules = LimitRules(lambda _: ())
    told = [
        [text for text, _amount, _name in rules.look(usage(processes=count), ["processes:log=100"], number)]
        for number, count in enumerate((10, 100, 150, 99, 100, 94, 100))
    ]
    assert [bool(one) for one in told] == [False, True, False, False, False, False, True]


def test_each_is_counted_in_the_units_of_limits() -> None:
    rules = LimitRules(lambda _: ())
    used = usage(memory_bytes=200 * _MIB, swap_bytes=10 * _MIB, disk_bytes=900 * _MIB)
    said = ["memory_mb:log=200", "swap_mb:log=10", "disk_mb:log=900", "memory_mb:log=201", "processes:log=1"]
    assert [text for text, _amount, _name in rules.look(used, said, 0)] == said[:3]


def test_the_processor_is_counted_between_two_looks() -> None:
    rules = LimitRules(lambda _: ())
    assert rules.look(usage(cpu_ns=10**12), ["cpu:log=1"], 100) == []
    assert rules.look(usage(cpu_ns=10**12 + 4 * 10**9), ["cpu:log=1"], 105) == []
    [(_text, amount, _name)] = rules.look(usage(cpu_ns=10**12 + 14 * 10**9), ["cpu:log=1"], 110)
    assert amount == 2
    assert rules.look(usage(cpu_ns=0), ["cpu:log=1"], 115) == [], "its group was made anew"


def test_another_rule_is_another_matter() -> None:
    rules = LimitRules(lambda _: ())
    assert rules.look(usage(processes=5), ["processes:log=5"], 0)
    assert rules.look(usage(processes=5), ["processes:log=4"], 1)


def test_who_has_it_go_up_and_down_without_end_is_told_of_within_bounds() -> None:
    rules = LimitRules(lambda _: ())
    asked = [f"processes:log={count}" for count in range(50, 66)]
    told = [
        sum(len(rules.look(usage(processes=count), asked, now)) for count in (10, 100))
        for now in range(0, 120, 5)
    ]
    assert sum(told) == 2 * 8, "of 384 times"


def test_processes_are_looked_for_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look takes a fifth of a second and more: who asks for very many has others told all the same."""
    looked = list[UUID]()

    def signal(_rules: LimitRules, owner: UUID, _rule: Rule) -> str:
        looked.append(owner)
        return "loop"

    monkeypatch.setattr(LimitRules, "_signal", signal)
    rules, others = LimitRules(lambda _: ()), [UUID(int=number) for number in range(1, 31)]
    asked = {owner: [f"memory_mb:sigusr1={mb}" for mb in range(1, 17)] for owner in others}
    asked[others[-1]] = ["memory_mb:sigterm=1"]
    rounds = list[int]()
    for now in range(5, 200, 5):
        for one in rules.in_turn([usage(memory_bytes=2**30, environment_id=owner) for owner in others]):
            rules.look(one, asked[one.environment_id], now)
        rounds.append(len(looked) - sum(rounds))
    assert max(rounds) <= limit_rules._MOST_LOOKS
    assert set(looked) == set(others)


def test_a_rule_that_is_asked_for_no_more_is_forgotten() -> None:
    rules = LimitRules(lambda _: ())
    for count in range(1, 2000):
        rules.look(usage(processes=3000), [f"processes:log={count}"], 100.0 * count)
    assert len(rules._over[_ID]) == 1

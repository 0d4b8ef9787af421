"""The seccomp profile as a decision: what a filter of these rules answers (seccomp(2))."""

from functools import cache
from typing import Any

import pytest

from runtime.answers import NAMES as ANSWERED
from runtime.contract import SecurityProfile
from runtime.oci.seccomp import profile
from runtime.oci.syscalls import ALLOWED


@cache
def _rules(name: str, **options: bool) -> list[dict[str, Any]]:
    whole = profile(SecurityProfile(**options), "x86_64")
    return [rule for rule in whole["syscalls"] if name in rule["names"]]


def answers(name: str, *arguments: int, **options: bool) -> set[str]:
    """Actions of every rule that fits; empty where the default answers. Two would be a rule that denies what
    another allows, and which of them holds is nobody's to say."""
    return {
        rule["action"]
        for rule in _rules(name, **options)
        if all(_fits(one, arguments) for one in rule.get("args", ()))
    }


def _fits(compare: dict[str, int | str], arguments: tuple[int, ...]) -> bool:
    given, value = arguments[int(compare["index"])], compare["value"]
    if compare["op"] == "SCMP_CMP_EQ":
        return given == value
    assert compare["op"] == "SCMP_CMP_MASKED_EQ"
    return given & int(value) == compare["valueTwo"]


ALLOW, REFUSE, DEFAULT = {"SCMP_ACT_ALLOW"}, {"SCMP_ACT_ERRNO"}, set[str]()


def test_what_is_looked_at_by_argument_is_allowed_by_no_name_alone() -> None:
    looked_at = {"ioctl", "socket", "setsockopt", "clone", "unshare", "personality"}
    assert looked_at.isdisjoint(ALLOWED)


@pytest.mark.parametrize("high", [0, 1 << 32, 0xFFFFFFFF << 32])
def test_requests_of_btrfs_are_those_on_ones_own_tree(high: int) -> None:
    own, nesting = {9, 13, 15, 18, 25, 26, 31, 54, 60, 61, 62}, {1, 14}
    for kind in range(256):
        for number in range(256):
            wanted = ALLOW if kind != 0x94 or number in own else REFUSE if number in nesting else DEFAULT
            assert answers("ioctl", 3, high | 0x5000_0000 | kind << 8 | number) == wanted, (kind, number)


@pytest.mark.parametrize("number", [1, 14], ids=["snapshot", "subvolume"])
def test_subvolumes_are_an_option(number: int) -> None:
    assert answers("ioctl", 3, 0x5000_9400 | number) == REFUSE
    assert answers("ioctl", 3, 0x5000_9400 | number, nesting=True) == ALLOW


@pytest.mark.parametrize("call", ["clone", "unshare"])
def test_user_namespaces_are_an_option(call: str) -> None:
    for flags in (0x10000000, 0x1002_0000, 0x7FFF_FFFF, 1 << 40 | 0x10000000):
        assert answers(call, flags) == REFUSE
        assert answers(call, flags, nesting=True) == ALLOW
    assert answers(call, 0x0002_0000) == ALLOW


def test_sockets_are_chosen_by_the_whole_number() -> None:
    for family in (1, 2, 10, 17):
        assert answers("socket", family, 1, 0) == ALLOW
        assert answers("socket", family | 1 << 32, 1, 0) == DEFAULT
    for family in (15, 38, 40, 44, 40 | 1 << 32):
        assert answers("socket", family, 1, 0) == DEFAULT
    assert answers("socket", 16, 3, 12) == REFUSE
    assert answers("socket", 16, 3, 12, firewall=True) == ALLOW


def test_rings_of_packet_sockets_are_an_option() -> None:
    for high in (0, 1 << 32):
        for option in range(64):
            known = ALLOW if 0 < option < 25 else DEFAULT
            wanted = REFUSE if option in (5, 13) else known
            assert answers("setsockopt", 3, high | 263, high | option) == wanted, option
            assert answers("setsockopt", 3, high | 263, high | option, firewall=True) == ALLOW


def test_tables_of_the_old_firewall_are_not_replaced() -> None:
    for high in (0, 1 << 32):
        for level in (0, 41):
            assert answers("setsockopt", 3, high | level, high | 64) == REFUSE
            assert answers("setsockopt", 3, high | level, high | 65) == REFUSE
            assert answers("setsockopt", 3, high | level, high | 35) == ALLOW


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_asked_of_the_machine_is_answered_where_somebody_is_there(name: str) -> None:
    assert answers(name) == ALLOW
    whole = profile(SecurityProfile(), "x86_64", is_answered=True)
    assert [rule["action"] for rule in whole["syscalls"] if name in rule["names"]] == ["SCMP_ACT_NOTIFY"]

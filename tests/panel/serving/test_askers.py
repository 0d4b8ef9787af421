"""On whose account a request goes: a token's or session's person, within his tenants; a stranger's address."""

from typing import Any

import pytest

from panel.rights.actor import Actor
from panel.rights.asking import ACTOR
from panel.serving.askers import KEPT_S, Askers, asker_of
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def asked(authorization: str, address: str = "192.0.2.1", actor: Actor | None = None) -> dict[str, Any]:
    return {
        "HTTP_AUTHORIZATION": authorization,
        "HTTP_X_FORWARDED_FOR": address,
        "REMOTE_ADDR": "",
        ACTOR: actor,
    }


def test_people_of_tenants_that_hang_together_are_one_tree() -> None:
    top = factories.tenant()
    below = factories.tenant(parent=top)
    first, second = factories.member(top), factories.member(below)
    assert asker_of(first).tree == asker_of(second).tree != asker_of(factories.member(factories.tenant())).tree
    assert asker_of(first).person != asker_of(second).person
    assert asker_of(first) == asker_of(Actor(first.user)), "however he came in"


def test_until_it_is_known_who_asks_it_is_his_address() -> None:
    now = [0.0]
    askers = Askers(lambda: now[0])
    member = factories.member(factories.tenant())
    unknown = askers.of(asked("Bearer a"))
    assert unknown.tree == "192.0.2.1" == askers.of(asked("")).person
    askers.learn(asked("Bearer a", actor=member))
    assert askers.of(asked("Bearer a", "198.51.100.7")) == asker_of(member)
    another = askers.of(asked("Bearer b"))
    assert another.tree == unknown.tree and another.person != unknown.person, (
        "it doesn't stand behind the first"
    )
    now[0] = KEPT_S + 1
    assert askers.of(asked("Bearer a")) == asker_of(member), "he doesn't go back behind strangers"
    other = factories.member(factories.tenant())
    askers.learn(asked("Bearer a", actor=other))
    assert askers.of(asked("Bearer a")) == asker_of(other)


def test_a_stranger_with_a_whole_network_is_one() -> None:
    askers = Askers()
    first, second = (askers.of(asked("", f"2001:db8::{number}")) for number in (1, 2))
    assert first == second != askers.of(asked("", "2001:db8:0:1::1"))

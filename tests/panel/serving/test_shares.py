"""Nobody gets all of what there is only so much of."""

import uuid
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from panel.errors import TooMany
from panel.serving.shares import Shares

TENANT, OTHER = UUID(int=1), UUID(int=2)


def person(number: int) -> Any:
    return SimpleNamespace(user=SimpleNamespace(pk=number), token=None)


def shares(of_person: int = 2, of_tenant: int = 4, of_tree: int = 8) -> Shares:
    return Shares(of_person, of_tenant, of_tree, places=32, code="too_many_x")


def test_a_person_a_tenant_and_a_tree_have_their_share() -> None:
    ours = shares()
    places = [ours.take(person(1), TENANT, "top/one/") for _ in range(2)]
    with pytest.raises(TooMany, match="2 requests of yours") as refused:
        ours.take(person(1), OTHER, "top/two/")
    assert refused.value.code == "too_many_x" and refused.value.status == 429
    places += [ours.take(person(number // 2), TENANT, "top/one/") for number in (4, 5)]
    with pytest.raises(TooMany, match="of this tenant"):
        ours.take(person(9), TENANT, "top/one/")
    places += [ours.take(person(100 + n), uuid.uuid4(), "top/two/") for n in range(4)]
    with pytest.raises(TooMany, match="of these tenants"):
        ours.take(person(9), OTHER, "top/three/")
    places.append(ours.take(person(9), OTHER, "elsewhere/"))
    for place in places:
        place.give_back()
        place.give_back()
    assert ours.taken == 0 and not ours._taken


def test_the_last_places_are_for_those_who_have_none() -> None:
    """However many trees take as much as they can."""
    ours = shares(100, 100, 100)
    got = []
    for tree in range(5):
        count = 0
        while True:
            try:
                ours.take(person(tree), UUID(int=tree), f"{tree}/")
            except TooMany:
                break
            count += 1
        got.append(count)
    assert got == [16, 8, 4, 2, 1]


def test_tokens_that_one_person_made_for_two_tenants_are_two_peoples() -> None:
    ours = shares()

    def with_token(tenant_id: UUID) -> Any:
        return SimpleNamespace(**{**vars(person(1)), "token": SimpleNamespace(tenant_id=tenant_id)})

    for _ in range(2):
        ours.take(with_token(TENANT), TENANT, "top/")
    ours.take(with_token(OTHER), OTHER, "else/")
    with pytest.raises(TooMany):
        ours.take(with_token(TENANT), TENANT, "top/")

"""Pages that listen: nobody takes all the places."""

from typing import Any

import pytest

from panel.live import consumer
from panel.live.places import PagePlaces
from panel.serving.fair_queue import Asker
from tests.panel.security.sockets import run, socket
from tests.panel.support import factories


def test_a_person_and_a_tree_have_their_share() -> None:
    places = PagePlaces(of_person=2, of_tree=3, places=5)
    first, second, other = Asker("a", "1"), Asker("a", "2"), Asker("b", "1")
    assert [places.take(first) for _ in range(3)] == [True, True, False]
    assert [places.take(second) for _ in range(2)] == [True, False]
    assert [places.take(other) for _ in range(3)] == [True, True, False]
    places.give_back(first)
    assert places.take(second)
    for asker in (first, second, second, other, other):
        places.give_back(asker)
    assert not places._taken and not places._all


@pytest.mark.django_db
def test_one_page_too_many_is_told_so_and_gives_no_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    places = PagePlaces(of_person=1)
    monkeypatch.setattr(consumer, "PAGES", places)
    tenant = factories.tenant()
    bearer = factories.bearer(factories.member(tenant), tenant, role="owner")["Authorization"]

    async def pages() -> tuple[dict[str, Any], dict[str, Any]]:
        first, second = (socket("/ws/events", origin=None, bearer=bearer) for _ in range(2))
        assert (await first.connect(timeout=30))[0] and (await second.connect(timeout=30))[0]
        told, closed = await second.receive_json_from(30), await second.receive_output(30)
        await second.disconnect()
        assert places._all == 1
        await first.disconnect()
        return told, closed

    told, closed = run(pages)
    assert told["kind"] == "error" and closed["code"] == 4429
    assert places._all == 0

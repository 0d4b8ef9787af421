"""Many at once, and room for a few: as many pass as there is room for, the rest hear why (R01-R07).

Over several processes, through the real WSGI handler, on a SQLite file and on PostgreSQL.
"""

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest

from tests.panel.support.crowd import Answer, Ask, Crowd, crowd_on

ROOM = 5
LIMITS = {"cpu": 0.5, "memory_mb": 64, "disk_mb": 128}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def crowd(request: pytest.FixtureRequest) -> Iterator[Crowd]:
    with crowd_on(request.param) as found:
        yield found


def creates(world: dict[str, str], count: int) -> list[Ask]:
    body = {"image": "busybox", "limits": LIMITS, "tenant": world["tenant"]}
    return [
        Ask("POST", "/api/v1/environments", {**body, "name": f"new-{number}"}, world["token"])
        for number in range(count)
    ]


def outcome(answers: Sequence[Answer]) -> Counter[tuple[int, str]]:
    return Counter((answer.status, answer.code) for answer in answers)


def test_200_creates_against_room_for_5(crowd: Crowd) -> None:
    world = crowd.call("world", quota={"environments": ROOM})
    answers = crowd.all_at_once(creates(world, 200))
    assert outcome(answers) == {(202, ""): ROOM, (409, "quota_exceeded"): 200 - ROOM}
    assert {a.body["detail"] for a in answers if a.status == 409} == {
        "Not enough environments: 1 asked for, but your quota of 5 has 0 left."
    }
    assert crowd.call("count", tenant=world["top"])["environments"] == ROOM
    assert crowd.call("reserved", tenant=world["top"], resource="environments") == {
        "reserved": ROOM, "hits": 200 - ROOM,
    }  # fmt: skip
    assert crowd.call("reserved", tenant=world["top"], resource="memory_mb")["reserved"] == ROOM * 64


def test_creates_three_levels_below_the_quota(crowd: Crowd) -> None:
    world = crowd.call("world", quota={"memory_mb": ROOM * 64 + 63}, below=3)
    answers = crowd.all_at_once(creates(world, 60))
    assert outcome(answers) == {(202, ""): ROOM, (409, "quota_exceeded"): 55}
    for tenant in (world["top"], world["tenant"]):
        assert crowd.call("reserved", tenant=tenant, resource="memory_mb")["reserved"] == ROOM * 64


def test_addresses(crowd: Crowd) -> None:
    world = crowd.call("world", quota={"addresses": ROOM})
    answers = crowd.all_at_once(creates(world, 60))
    assert outcome(answers) == {(202, ""): ROOM, (409, "quota_exceeded"): 55}
    found = crowd.call("count", tenant=world["top"])
    assert (found["addresses"], found["environments"]) == (ROOM, ROOM)


def test_forwards(crowd: Crowd) -> None:
    world = crowd.call("world", quota={"forwards": ROOM}, made=2)
    asks = [
        Ask(
            "POST",
            f"/api/v1/environments/{world['environments'][number % 2]}/forwards",
            {"port": 1000 + number},
            world["token"],
        )
        for number in range(60)
    ]
    assert outcome(crowd.all_at_once(asks)) == {(202, ""): ROOM, (409, "quota_exceeded"): 55}
    assert crowd.call("count", tenant=world["top"])["forwards"] == ROOM


def test_resizes(crowd: Crowd) -> None:
    world = crowd.call("world", quota={"memory_mb": 30 * 64 + ROOM * 16 + 15}, made=30)
    asks = [
        Ask("PATCH", f"/api/v1/environments/{row}", {"limits": {"memory_mb": 80}}, world["token"])
        for row in world["environments"]
    ]
    assert outcome(crowd.all_at_once(asks)) == {(202, ""): ROOM, (409, "quota_exceeded"): 25}
    held = 30 * 64 + ROOM * 16
    assert crowd.call("count", tenant=world["top"])["memory_mb"] == held
    assert crowd.call("reserved", tenant=world["top"], resource="memory_mb")["reserved"] == held


def test_child_tenants_quotas(crowd: Crowd) -> None:
    world = crowd.call("world", quota={"memory_mb": ROOM * 100 + 99})
    asks = [
        Ask(
            "POST",
            "/api/v1/tenants",
            {"name": f"Child {uuid.uuid4().hex}", "parent": world["top"], "quota": {"memory_mb": 100}},
            world["token"],
        )
        for number in range(60)
    ]
    assert outcome(crowd.all_at_once(asks)) == {(201, ""): ROOM, (409, "quota_exceeded"): 55}
    assert crowd.call("count", tenant=world["top"])["children"] == ROOM
    assert crowd.call("reserved", tenant=world["top"], resource="memory_mb")["reserved"] == ROOM * 100


def test_a_node_that_may_promise_5_more(crowd: Crowd) -> None:
    world = crowd.call("world", quota={}, made=30)
    crowd.call("node_with_room_for", count=ROOM)
    answers = crowd.all_at_once(creates(world, 40))
    assert outcome(answers) == {(202, ""): ROOM, (409, "node_sold_out"): 35}


def test_grows_and_shrinks_mixed_lose_nothing(crowd: Crowd) -> None:
    """Each takes of one resource and gives of the other: what waits for each other would end in a deadlock."""
    world = crowd.call("world", quota={"memory_mb": 100_000, "cpu": 1000}, made=12)
    asks = [
        Ask(
            "PATCH",
            f"/api/v1/environments/{row}",
            {"limits": {"memory_mb": 64 + 16 * ((turn + number) % 2), "cpu": 1.5 - (turn + number) % 2}},
            world["token"],
        )
        for turn in range(4)
        for number, row in enumerate(world["environments"])
    ]
    assert outcome(crowd.all_at_once(asks)) == {(202, ""): len(asks)}
    held = crowd.call("count", tenant=world["top"])["memory_mb"]
    assert crowd.call("reserved", tenant=world["top"], resource="memory_mb")["reserved"] == held


def test_schedulers_at_once_send_each_spec_once(crowd: Crowd) -> None:
    """R07: two beats, or one that was started twice."""
    world = crowd.call("world", quota={}, made=20)
    crowd.call("fall_behind", environments=world["environments"])
    assert sum(crowd.call_in_all("resend")) == 20
    assert crowd.call_in_all("resend") == [0] * 4


PAIRS = 8


@pytest.mark.parametrize("how", ["leave", "step down"])
def test_two_last_owners_who_go_at_once(crowd: Crowd, how: str) -> None:
    """R06: one goes, the other hears that a tenant keeps an owner."""
    pairs = [crowd.call("pair_of_owners") for _ in range(PAIRS)]
    method, body = ("DELETE", None) if how == "leave" else ("PATCH", {"role": "viewer"})
    asks = [
        Ask(method, f"/api/v1/tenants/{pair['tenant']}/members/{who}", body, token)
        for pair in pairs
        for who, token in pair["owners"]
    ]
    done = 204 if how == "leave" else 200
    assert outcome(crowd.all_at_once(asks)) == {(done, ""): PAIRS, (409, "last_owner"): PAIRS}
    assert crowd.call("owners_of", tenants=[pair["tenant"] for pair in pairs]) == [1] * PAIRS


def test_two_last_owners_who_remove_each_other_at_once(crowd: Crowd) -> None:
    """R06: whoever is second has no right to any more."""
    pairs = [crowd.call("pair_of_owners") for _ in range(PAIRS)]
    asks = [
        Ask("DELETE", f"/api/v1/tenants/{pair['tenant']}/members/{pair['owners'][1 - mine][0]}", None, token)
        for pair in pairs
        for mine, (_, token) in enumerate(pair["owners"])
    ]
    answers = crowd.all_at_once(asks)
    assert Counter(answer.status == 204 for answer in answers) == {True: PAIRS, False: PAIRS}
    assert {answer.status for answer in answers} <= {204, 401, 403, 404, 409}, outcome(answers)
    assert crowd.call("owners_of", tenants=[pair["tenant"] for pair in pairs]) == [1] * PAIRS


def test_one_version_is_changed_once(crowd: Crowd) -> None:
    """R06: of ten who change the version that all have read, one does; the others are told to look again."""
    world = crowd.call("world", quota={}, made=1)
    asks = [
        Ask(
            "PATCH",
            f"/api/v1/environments/{world['environments'][0]}",
            {"description": str(number)},
            world["token"],
            version=1,
        )
        for number in range(10)
    ]
    assert outcome(crowd.all_at_once(asks)) == {(202, ""): 1, (412, "stale"): 9}


def test_100_at_once_get_nothing_twice(crowd: Crowd) -> None:
    world = crowd.call("world", quota={})
    assert outcome(crowd.all_at_once(creates(world, 100))) == {(202, ""): 100}
    assert crowd.call("given_twice") == []


def test_one_key_ten_times_at_once_is_one_environment(crowd: Crowd) -> None:
    world, other = crowd.call("world", quota={}), crowd.call("world", quota={})
    [ask] = creates(world, 1)
    ask = Ask(ask.method, ask.path, ask.body, ask.token, key="the-same")
    answers = crowd.all_at_once([ask] * 10)
    assert outcome(answers) == {(202, ""): 10}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert crowd.call("count", tenant=world["top"])["environments"] == 1
    [changed] = crowd.all_at_once([Ask("POST", ask.path, {**ask.body, "name": "else"}, ask.token, "the-same")])
    assert (changed.status, changed.code) == (422, "key_reused")
    [theirs] = crowd.all_at_once(
        [Ask("POST", ask.path, {**ask.body, "tenant": other["tenant"]}, other["token"], "the-same")]
    )
    assert theirs.status == 202 and theirs.body["id"] != answers[0].body["id"]

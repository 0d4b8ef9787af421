"""Into the trash and out of it, with something killed on either way: it rests once, and comes back whole."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.e2e.support import Answer, Installation
from tests.faults.support.stack import Stack


@pytest.fixture
def has_trash(wadah: Installation) -> Iterator[None]:
    tenants = wadah.call("GET", "/tenants?limit=100").body["items"]
    path = "/tenants/{}".format(next(one["id"] for one in tenants if one["slug"] == "demo"))
    assert wadah.call("PATCH", path, {"trash_days": 7}).status == 200
    yield
    assert wadah.call("PATCH", path, {"trash_days": 0}).status == 200


@pytest.mark.parametrize(
    "fault",
    ["kill node-slow", "kill agent", "kill panel-worker", "step after container", "step before firewall"],
)
@pytest.mark.usefixtures("has_trash")
def test_it_rests_once_and_comes_back_whole(
    whole: Stack, wadah: Installation, environment: str, fault: str
) -> None:
    wadah.sh(environment, "echo kept > /root/kept")
    opened = wadah.call("POST", f"/environments/{environment}/forwards", {"port": 80})
    assert opened.status == 202, opened.body
    wadah.wait_state(environment, "running")
    address, forwards = _reach(wadah, environment)

    _struck(whole, fault, "remove", lambda: wadah.call("DELETE", f"/environments/{environment}"))
    wadah.wait(lambda: _is_done(wadah, environment, "trash"), 60, lambda: str(wadah.get(environment)))
    assert wadah.get(environment)["state"] == "trashed"
    assert _reach(wadah, environment) == ([], [])
    assert environment not in {one for one, row in _kernel(whole).items() if row["pid"]}

    _struck(whole, fault, "ensure", lambda: wadah.call("POST", f"/environments/{environment}/undelete", {}))
    wadah.wait(lambda: _is_done(wadah, environment, "undelete"), 60, lambda: str(wadah.get(environment)))
    wadah.wait_state(environment, "running", 60)
    wadah.wait(lambda: _read(wadah, environment) == "kept\n", 60)
    assert _reach(wadah, environment) == (address, forwards)


def _struck(whole: Stack, fault: str, verb: str, ask: Any) -> None:
    """Asked for, and hit while it is at work."""
    kind, _, what = fault.partition(" ")
    file = whole.wadah.home / "node" / "faults"
    if kind == "step":
        when, _, name = what.partition(" ")
        file.write_text(f"{verb} {when} kill {name}\n")
    try:
        assert ask().status == 202
        if kind == "kill":
            whole.kill(what)
    finally:
        if kind == "step":
            with suppress(AssertionError):
                whole.wadah.wait(lambda: not file.read_text(), 20)
            file.unlink(missing_ok=True)


def _asked(wadah: Installation, path: str) -> Answer | None:
    """None while the panel is just being started again."""
    with suppress(OSError):
        answer = wadah.call("GET", path)
        return answer if answer.status < 500 else None
    return None


def _read(wadah: Installation, environment: str) -> str:
    """Nothing while the agent is just being started again."""
    answer = wadah.call("POST", f"/environments/{environment}/exec", {"command": ["/bin/cat", "/root/kept"]})
    return str(answer.body.get("stdout", ""))


def _is_done(wadah: Installation, environment: str, kind: str) -> bool:
    """Once, and with success."""
    found = _asked(wadah, f"/environments/{environment}/operations")
    states = [one["state"] for one in found.body["items"] if one["kind"] == kind] if found else []
    assert len(states) <= 1, states
    assert "failed" not in states, found
    return states == ["succeeded"]


def _reach(wadah: Installation, environment: str) -> tuple[list[str], list[tuple[int, int]]]:
    addresses = wadah.call("GET", f"/environments/{environment}/addresses").body["items"]
    forwards = wadah.call("GET", f"/environments/{environment}/forwards").body["items"]
    return (
        sorted(one["address"] for one in addresses),
        sorted((one["node_port"], one["port"]) for one in forwards),
    )


def _kernel(whole: Stack) -> dict[str, Any]:
    found: dict[str, Any] = whole.kernel()["environments"]
    return found

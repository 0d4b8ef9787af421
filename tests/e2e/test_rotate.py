"""V08: `./wadah rotate` on a running installation: all goes on, and no old key works."""

import pytest
import redis

from tests.e2e.support import Installation


def _files(wadah: Installation) -> dict[str, bytes]:
    home = wadah.home
    names = (
        "panel/secrets.json",
        "panel/ticket.pub",
        "node/panel-ticket.pub",
        "node/report.key",
        "node/redis.password",
        "etc/redis-panel.password",
        "etc/redis-admin.password",
    )
    return {name: (home / name).read_bytes() for name in names}


def test_every_key_is_exchanged_and_all_goes_on(wadah: Installation, environment: str) -> None:
    before, started = _files(wadah), wadah.get(environment)["started_at"]
    wadah.wadah("rotate")
    after = _files(wadah)
    assert [name for name in before if before[name] == after[name]] == []
    assert wadah.get(environment)["started_at"] == started
    assert wadah.sh(environment, "echo here") == "here"  # a ticket of the new key
    wadah.call("POST", f"/environments/{environment}/restart", {})  # a report of the new key
    wadah.wait(lambda: wadah.get(environment)["started_at"] != started, 30)
    wadah.wait_state(environment, "running")
    for user, file in (("node", "node/redis.password"), ("panel", "etc/redis-panel.password")):
        for passwords, works in ((before, False), (after, True)):
            client = redis.Redis(
                unix_socket_path=str(wadah.home / "run" / "redis.sock"),
                username=user,
                password=passwords[file].decode().strip(),
            )
            if works:
                assert client.ping()
            else:
                with pytest.raises(redis.AuthenticationError):
                    client.ping()


def test_one_part_alone(wadah: Installation) -> None:
    before = _files(wadah)
    wadah.wadah("rotate", "--only", "node")
    after = _files(wadah)
    assert [name for name in before if before[name] != after[name]] == ["node/report.key"]
    assert wadah.call("GET", "/environments").status == 200

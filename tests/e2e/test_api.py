"""A customer's day over the API, on a real kernel."""

import uuid

from tests.e2e.support import Installation


def test_power_buttons(wadah: Installation, environment: str) -> None:
    for verb, state in (
        ("stop", "stopped"),
        ("start", "running"),
        ("pause", "paused"),
        ("resume", "running"),
        ("restart", "running"),
    ):
        answer = wadah.call("POST", f"/environments/{environment}/{verb}", {})
        assert answer.status == 202, answer.body
        wadah.wait_state(environment, state)
    operation = wadah.call("GET", f"/operations/{answer.body['operation']['id']}").body
    assert operation["state"] == "succeeded"
    assert all(step["state"] == "done" for step in operation["steps"])


def test_resize_live_and_refusal_with_the_number(wadah: Installation, environment: str) -> None:
    wadah.sh(environment, "dd if=/dev/zero of=/root/fill bs=1M count=60 2>/dev/null; sync")
    answer = wadah.call("PATCH", f"/environments/{environment}", {"limits": {"disk_mb": 256, "memory_mb": 96}})
    assert answer.status == 202
    seen = wadah.wait_state(environment, "running")
    assert seen["limits"]["disk_mb"] == 256
    assert int(wadah.sh(environment, "grep MemTotal /proc/meminfo").split()[1]) == 96 * 1024

    def refused() -> bool:
        answer = wadah.call("PATCH", f"/environments/{environment}", {"limits": {"disk_mb": 32}})
        if answer.status == 409:
            return "32" in answer.body["detail"]
        operation = answer.body["operation"]["id"]
        return bool(
            wadah.wait(lambda: wadah.call("GET", f"/operations/{operation}").body["code"] == "below_used", 10)
        )

    assert refused()
    assert wadah.get(environment)["limits"]["disk_mb"] == 256


def test_reinstall_keeps_the_old_tree(wadah: Installation, environment: str) -> None:
    wadah.sh(environment, "echo mine > /root/note")
    answer = wadah.call("POST", f"/environments/{environment}/reinstall", {"keep_old": True})
    assert answer.status == 202
    wadah.wait_state(environment, "running")
    assert wadah.sh(environment, "cat /old/root/note") == "mine"


def test_ssh_keys_and_password_get_inside(wadah: Installation, environment: str) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEVGtcjpm7JpkmpEDzEpMCcYyBGnXMFNXfMbqXgvKAZX me@example"
    answer = wadah.call(
        "POST", f"/environments/{environment}/credentials", {"ssh_keys": [key], "root_password": ""}
    )
    assert answer.status == 202, answer.body
    assert len(answer.body["root_password"]) >= 12
    wadah.wait_state(environment, "running")
    assert key in wadah.sh(environment, "cat /root/.ssh/authorized_keys")
    assert wadah.sh(environment, "grep ^root: /etc/shadow").split(":")[1].startswith("$")
    bad = wadah.call("POST", f"/environments/{environment}/credentials", {"ssh_keys": ["not a key"]})
    assert bad.status == 422
    assert bad.body["field"].startswith("ssh_keys")


def test_debian_boots_to_running_with_nothing_failed(wadah: Installation) -> None:
    made = wadah.create(image="debian-12", limits={"cpu": 1, "memory_mb": 512, "disk_mb": 2048})
    wadah.wait(lambda: wadah.sh(made, "systemctl is-system-running || true") == "running", 20)
    assert wadah.sh(made, "ps -p 1 -o comm=") == "systemd"
    assert wadah.sh(made, "systemctl --failed --plain --no-legend | wc -l") == "0"
    assert wadah.sh(made, "free -m | awk '/^Mem/ {print $2}'") == "512"
    assert wadah.sh(made, "nproc") == "1"
    wadah.sh(made, "useradd -m customer && runuser -u customer -- id && systemctl is-active ssh cron")
    wadah.sh(made, "systemd-run --wait -p PrivateTmp=yes true")
    # a user's own manager, without which a login waits a minute
    signed_in = "su - customer -c 'echo $XDG_RUNTIME_DIR; systemctl --user is-system-running --wait'"
    assert wadah.sh(made, signed_in).split() == ["/run/user/1000", "running"]
    # and the session doesn't stay for ever
    wadah.wait(lambda: wadah.sh(made, "loginctl list-sessions --no-legend | grep -c customer; true") == "0", 30)
    # what an administrator of a VPS writes there holds from the next boot on
    wadah.sh(made, "echo net.core.somaxconn=2048 > /etc/sysctl.d/90-own.conf")
    assert wadah.call("POST", f"/environments/{made}/restart", {}).status == 202
    wadah.wait_state(made, "running")
    wadah.wait(lambda: wadah.sh(made, "systemctl is-system-running || true") == "running", 30)
    assert wadah.sh(made, "sysctl -n net.core.somaxconn") == "2048"
    wadah.delete(made)


def test_the_same_key_makes_one_environment(wadah: Installation) -> None:
    key = uuid.uuid4().hex
    body = {
        "name": f"once-{key[:8]}",
        "image": "busybox",
        "tenant": "demo",
        "limits": {"cpu": 1, "memory_mb": 64, "disk_mb": 128},
    }
    answers = [wadah.call("POST", "/environments", body, Idempotency_Key=key) for _ in range(3)]
    assert {answer.status for answer in answers} == {202}
    assert len({answer.body["id"] for answer in answers}) == 1
    other = wadah.call("POST", "/environments", {**body, "name": "other"}, Idempotency_Key=key)
    assert other.status == 422
    wadah.delete(answers[0].body["id"])


def test_a_crash_is_seen_and_mended(wadah: Installation, environment: str) -> None:
    import os
    import signal

    from runtime.node import Node
    from runtime.sandboxes.shared.container import init_pid

    node = Node.load(wadah.home)
    pid = init_pid(node, uuid.UUID(environment))
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    seen = wadah.wait(lambda: (one := wadah.get(environment))["restarts"] == 1 and one, 2)
    assert seen["restarts"] == 1
    wadah.wait_state(environment, "running")
    assert init_pid(node, uuid.UUID(environment)) != pid

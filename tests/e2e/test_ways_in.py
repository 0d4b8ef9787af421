"""The ways in that are told of a Debian are those that its own sshd leaves open; of others it is told why."""

import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.support import Installation, ended


def _ways(wadah: Installation, environment: str) -> dict[str, Any]:
    answer = wadah.call("GET", f"/environments/{environment}/ways-in")
    assert answer.status == 200, answer.body
    return {one["name"]: one["why"] if not one["is_open"] else True for one in answer.body["items"]}


def _takes_the_key(wadah: Installation, environment: str, key: str) -> bool:
    """Whether its sshd, asked on loopback from inside, lets the key in."""
    options = (
        "-o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=10"
    )
    script = f"umask 077; cat > /run/k; ssh -i /run/k {options} root@127.0.0.1 true"
    body = {"command": ["/bin/sh", "-c", script], "stdin": key}
    answer = wadah.call("POST", f"/environments/{environment}/exec", body)
    assert answer.body["exit_code"] in (0, 255), answer.body
    return bool(answer.body["exit_code"] == 0)


def test_what_is_told_is_what_sshd_does(wadah: Installation, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=30)
    made = wadah.create(
        image="debian-12",
        limits={"cpu": 1, "memory_mb": 256, "disk_mb": 2048},
        ssh_keys=[Path(f"{key}.pub").read_text()],
        root_password="a long enough one",
    )
    try:
        wadah.wait(lambda: _ways(wadah, made)["ssh_key"] is True, 60, lambda: str(_ways(wadah, made)))
        assert _ways(wadah, made) == {"console": True, "ssh_key": True, "ssh_password": True}
        assert _takes_the_key(wadah, made, key.read_text())
        own = "/etc/ssh/sshd_config.d/own.conf"
        for says in ("AllowUsers nobody", "PermitRootLogin no", "AuthorizedKeysFile /nowhere"):
            wadah.sh(made, f"echo {says} > {own}; systemctl restart ssh")
            told = _ways(wadah, made)
            assert says in told["ssh_key"], told
            assert not _takes_the_key(wadah, made, key.read_text()), says
        asked = wadah.call(
            "PATCH", f"/environments/{made}", {"ssh_keys": [Path(f"{key}.pub").read_text().strip() + "-2"]}
        )
        operation = ended(wadah, asked.body["operation"]["id"])
        assert (operation["state"], operation["code"]) == ("succeeded", "no_way_in"), operation
        assert "AuthorizedKeysFile /nowhere" in operation["message"]
        wadah.sh(made, f"rm {own}; systemctl stop ssh.socket ssh 2>/dev/null; true")
        assert "nothing listens on port 22" in _ways(wadah, made)["ssh_key"]
    finally:
        wadah.delete(made)

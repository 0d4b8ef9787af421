"""What an app may choose of its walls: how it is written, and what nobody is given."""

from typing import Any

import pytest
from pydantic import ValidationError

from runtime.contract import AppRun
from runtime.contract.app_walls import capabilities

EVERY = ("CAP_CHOWN", "CAP_KILL", "CAP_NET_ADMIN", "CAP_SYS_PTRACE")
USUAL = EVERY[:2]


@pytest.mark.parametrize(
    ("add", "drop", "left"),
    [
        ((), (), "CHOWN KILL"),
        (("NET_ADMIN",), (), "CHOWN KILL NET_ADMIN"),
        ((), ("KILL", "SYS_TIME"), "CHOWN"),
        (("NET_ADMIN",), ("ALL",), "NET_ADMIN"),
        (("ALL",), ("SYS_PTRACE",), "CHOWN KILL NET_ADMIN"),
        (("ALL",), (), "CHOWN KILL NET_ADMIN SYS_PTRACE"),
        (("SYS_NICE",), (), "CHOWN KILL"),
    ],
)
def test_capabilities_as_docker_reads_them(add: tuple[str, ...], drop: tuple[str, ...], left: str) -> None:
    """The last: its class hasn't got that one."""
    assert capabilities(add, drop, USUAL, EVERY) == [f"CAP_{one}" for one in left.split()]


def test_each_is_written_one_way() -> None:
    app = AppRun.model_validate(
        {
            "cap_add": ["cap_net_admin", "SYS_PTRACE"],
            "cap_drop": ["all"],
            "ulimits": {"nofile": 1024, "memlock": "-1", "nproc": {"soft": 64, "hard": 128}},
            "sysctls": {"net.core.somaxconn": 1024, "net.ipv4.ip_local_port_range": "1024 65000"},
            "labels": {"org.example.team": "shop, and more"},
            "hostname": "db.example",
        }
    )
    assert app.cap_add == ("NET_ADMIN", "SYS_PTRACE")
    assert app.cap_drop == ("ALL",)
    assert app.ulimits == {"nofile": "1024:1024", "memlock": "-1:-1", "nproc": "64:128"}
    assert app.sysctls["net.core.somaxconn"] == "1024"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("cap_add", ["SYS_MODULE"], "beyond an environment"),
        ("cap_add", ["sys module"], "pattern"),
        ("ulimits", {"core": "-1"}, "the same for everybody"),
        ("ulimits", {"rtprio": "99"}, "the same for everybody"),
        ("ulimits", {"files": "1"}, "there is no ulimit files"),
        ("ulimits", {"nofile": "9"}, "16 at least"),
        ("ulimits", {"nofile": "4096:1024"}, "no higher than the hard one"),
        ("ulimits", {"nofile": "-1:1024"}, "no higher than the hard one"),
        ("ulimits", {"nofile": "many"}, "is a number"),
        ("ulimits", {"nofile": "\u0661\u0662\u0663"}, "is a number"),
        ("sysctls", {"kernel.core_pattern": "|/bin/sh"}, "isn't an app's own"),
        ("sysctls", {"net.core.somaxconn": "1; reboot"}, "is a number"),
        ("sysctls", {"net.core.somaxconn": "\u0661\u0662"}, "is a number"),
        ("labels", {"a b": "c"}, "no spaces"),
        ("labels", {"a": "x" * 20_000}, "16 KiB"),
        ("hostname", "two words", "pattern"),
    ],
)
def test_what_nobody_is_given_is_refused_with_a_sentence(field: str, value: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AppRun.model_validate({field: value})

"""What of its walls an app may choose, as `docker run` has it: capabilities, limits of its processes, settings
of the kernel that are its own, and words about it that nobody acts on.

Each is written one way, whatever it was given as, or refused with a sentence.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from runtime.contract.capabilities import CAPABILITIES
from runtime.contract.words import asked

ALL: Final = "ALL"
UNLIMITED: Final = -1
#: setrlimit(2), as Docker names them. Not: `core` (a dump goes where the host says), `nice`, `rtprio` and
#: `rttime` (whoever may has processors that others share).
ULIMITS: Final = tuple("cpu data fsize locks memlock msgqueue nofile nproc rss sigpending stack".split())
_NOT_GIVEN: Final = frozenset(("core", "nice", "rtprio", "rttime"))
_HIGHEST: Final = 2**62
_LEAST_FILES: Final = 16
#: Of namespaces that an app has to itself, with nothing in them that fills the kernel's memory.
SYSCTLS: Final = frozenset(
    (
        *("fs.mqueue.msg_default", "fs.mqueue.msg_max", "fs.mqueue.msgsize_default", "fs.mqueue.msgsize_max"),
        *("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shm_rmid_forced"),
        *("kernel.shmall", "kernel.shmmax", "kernel.shmmni"),
        *("net.core.somaxconn", "net.ipv4.conf.all.src_valid_mark", "net.ipv4.ip_forward"),
        *("net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range"),
        *("net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"),
        *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_mtu_probing"),
        *("net.ipv4.tcp_retries2", "net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_syn_retries"),
        *("net.ipv4.tcp_syncookies", "net.ipv4.tcp_tw_reuse", "net.ipv6.conf.all.forwarding"),
    )
)
_NUMBERS = re.compile(r"[0-9]{1,19}(?:[ \t]+[0-9]{1,19}){0,3}")
_MOST_LABEL_BYTES: Final = 16 * 1024


def _capability(text: Any) -> Any:
    return text.upper().removeprefix("CAP_") if isinstance(text, str) else text


def _may_be_added(name: str) -> str:
    if name != ALL and f"CAP_{name}" not in CAPABILITIES:
        raise ValueError(asked.no_capability(name))
    return name


_CAPABILITY = StringConstraints(max_length=40, pattern=r"^[A-Z][A-Z0-9_]*$")
AddedCapability = Annotated[str, _CAPABILITY, BeforeValidator(_capability), AfterValidator(_may_be_added)]
#: One that nobody has is dropped already.
DroppedCapability = Annotated[str, _CAPABILITY, BeforeValidator(_capability)]


def capabilities(
    add: Sequence[str], drop: Sequence[str], usual: Sequence[str], every: Sequence[str]
) -> list[str]:
    """Of `every`, in that order, those that both leave of the `usual` ones, as Docker reads them."""
    added, dropped = {f"CAP_{one}" for one in add}, {f"CAP_{one}" for one in drop}
    if ALL in add:
        wanted = set(every) - dropped
    elif ALL in drop:
        wanted = added
    else:
        wanted = (set(usual) | added) - (dropped - added)
    return [one for one in every if one in wanted]


def _number(text: str) -> int:
    if text in ("-1", "unlimited"):
        return UNLIMITED
    if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > _HIGHEST:
        raise ValueError(asked.odd_ulimit())
    return int(text)


def _ulimit(value: Any) -> Any:
    """`soft:hard`, of that, of a number alone, or of an object of both."""
    if isinstance(value, Mapping) and set(value) == {"soft", "hard"}:
        value = f"{value['soft']}:{value['hard']}"
    soft, colon, hard = str(value).partition(":")
    low = _number(soft.strip())
    high = _number(hard.strip()) if colon else low
    if high != UNLIMITED and (low == UNLIMITED or low > high):
        raise ValueError(asked.soft_over_hard())
    return f"{low}:{high}"


def both(ulimit: str) -> tuple[int, int]:
    """The soft and the hard one; `UNLIMITED`: as much as may be had."""
    soft, _, hard = ulimit.partition(":")
    return int(soft), int(hard)


def _known_ulimits(given: dict[str, str]) -> dict[str, str]:
    for name, value in given.items():
        if name in _NOT_GIVEN:
            raise ValueError(asked.ulimit_of_all(name, tuple(ULIMITS)))
        if name not in ULIMITS:
            raise ValueError(asked.no_ulimit(name[:40], tuple(ULIMITS)))
        if name == "nofile" and any(0 <= one < _LEAST_FILES for one in both(value)):
            raise ValueError(asked.too_few_files(_LEAST_FILES))
    return given


def _sysctl(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _known_sysctls(given: dict[str, str]) -> dict[str, str]:
    for name, value in given.items():
        if name not in SYSCTLS:
            raise ValueError(asked.sysctl_of_all(name[:80], tuple(sorted(SYSCTLS))))
        if not _NUMBERS.fullmatch(value):
            raise ValueError(asked.odd_sysctl(name))
    return given


def _are_labels(given: dict[str, str]) -> dict[str, str]:
    if any(not re.fullmatch(r"[^\x00-\x20=\x7f]{1,128}", name) for name in given):
        raise ValueError(asked.odd_label())
    if (
        sum(len(name) + len(value.encode(errors="replace")) for name, value in given.items())
        > _MOST_LABEL_BYTES
    ):
        raise ValueError(asked.labels_too_long())
    return given


def _told(check: Callable[[dict[str, str]], dict[str, str]]) -> AfterValidator:
    return AfterValidator(check)


Ulimits = Annotated[
    dict[str, Annotated[str, BeforeValidator(_ulimit)]], Field(max_length=len(ULIMITS)), _told(_known_ulimits)
]
Sysctls = Annotated[
    dict[str, Annotated[str, BeforeValidator(_sysctl)]], Field(max_length=len(SYSCTLS)), _told(_known_sysctls)
]
Labels = Annotated[
    dict[str, Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]],
    Field(max_length=64),
    _told(_are_labels),
]

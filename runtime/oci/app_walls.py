"""What an app chose of its walls (`runtime.contract.app_walls`), as the OCI configuration has it: never more
than its class of confinement has, or the node itself."""

from typing import Any, Final

from runtime.contract import AppOptions, EnvironmentSpec, Kernel
from runtime.contract.app_walls import UNLIMITED, both, capabilities
from runtime.contract.words import apps
from runtime.errors import HostLacks
from runtime.oci.config import capabilities_of, hard_limit, rlimits

#: What an app's root keeps: Docker's own, less those that nobody within one application needs.
USUAL: Final = (
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"),
    *("CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_SETFCAP"),
)
#: As /proc/PID/limits has them.
_SHOWN: Final = {
    "cpu": "Max cpu time",
    "data": "Max data size",
    "fsize": "Max file size",
    "locks": "Max file locks",
    "memlock": "Max locked memory",
    "msgqueue": "Max msgqueue size",
    "nofile": "Max open files",
    "nproc": "Max processes",
    "rss": "Max resident set",
    "sigpending": "Max pending signals",
    "stack": "Max stack size",
}
#: fs.nr_open, as the kernel has it.
_MOST_FILES: Final = 1_048_576


def held_by_root(spec: EnvironmentSpec, app: AppOptions) -> list[str]:
    return capabilities(app.cap_add, app.cap_drop, USUAL, capabilities_of(spec.security.confinement))


def limits_of_processes(spec: EnvironmentSpec, app: AppOptions) -> list[dict[str, Any]]:
    """Those of everybody, with those that were asked for in their place."""
    asked = [_limit(spec, name, *both(value)) for name, value in app.ulimits.items()]
    names = {one["type"] for one in asked}
    return [*(one for one in rlimits() if one["type"] not in names), *asked]


def _limit(spec: EnvironmentSpec, name: str, soft: int, hard: int) -> dict[str, Any]:
    """What is locked in memory is its own memory, whoever may lock more."""
    bounds = {"memlock": spec.limits.memory_mb * 2**20, "nofile": _MOST_FILES}
    most = min(hard_limit(_SHOWN[name]), bounds.get(name, 2**62))
    high = most if hard == UNLIMITED else min(hard, most)
    return {
        "type": f"RLIMIT_{name.upper()}",
        "soft": high if soft == UNLIMITED else min(soft, high),
        "hard": high,
    }


def settings_of(spec: EnvironmentSpec, app: AppOptions) -> dict[str, str]:
    """Raises `HostLacks` where the kernel isn't the host's: another has settings of its own."""
    if app.sysctls and spec.runs_on is not Kernel.SHARED:
        raise HostLacks(apps.no_settings(spec.runs_on), code="sysctls_unavailable", retryable=False)
    return dict(app.sysctls)

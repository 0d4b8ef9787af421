"""One group of services in one environment: installed, up, answered, and the same after a reboot."""

import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.e2e.support import Installation
from tests.packages.catalogue import Group, Service

LIMITS = {"cpu": 2, "memory_mb": 2048, "disk_mb": 12_288}
INSTALL_S, CHECK_S, BOOT_S = 600, 120, 180
#: A service that was just started, or a machine that was, may take a while to answer.
PATIENCE_S = 60.0
Say = Callable[[str], None]


@dataclass
class Result:
    name: str
    installed: bool = False
    up: bool = False
    answered: bool = False
    after_reboot: bool = False
    said: str = ""
    """The last line of what failed first."""

    @property
    def works(self) -> bool:
        return self.installed and self.up and self.answered and self.after_reboot

    @property
    def was_cut_off(self) -> bool:
        """It never came to be installed, since the one before it was cut off in the middle."""
        return not self.installed and "dpkg was interrupted" in self.said

    def document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Trial:
    """Makes its environment, tries, and deletes it."""

    installation: Installation
    group: Group
    image: str
    with_options: bool
    say: Say
    results: dict[str, Result] = field(default_factory=dict)
    environment: str = ""

    def run(self) -> list[Result]:
        self.results = {one.name: Result(one.name) for one in self.group.services}
        try:
            self._make()
            for service in self.group.services:
                self._install(service)
                self._look(service, after_reboot=False)
            self._reboot()
            for service in self.group.services:
                self._look(service, after_reboot=True)
        except (AssertionError, OSError) as failed:
            for one in self.results.values():
                one.said = one.said or f"the trial broke off: {failed}"[:200]
        finally:
            if self.environment:
                self.installation.delete(self.environment)
        return list(self.results.values())

    def _make(self) -> None:
        fields: dict[str, Any] = {"image": self.image, "limits": LIMITS, "stop_timeout_s": 60}
        if self.with_options:
            given = self.group.options
            fields["devices"] = [one for one in given if one.startswith("/dev/")]
            fields["security"] = {one: True for one in given if not one.startswith("/dev/")}
        name = f"pkg-{uuid.uuid4().hex[:8]}"
        self.environment = self.installation.create(name, **fields)
        self._boot()
        self._do("apt-get update -qq", INSTALL_S)

    def _do(self, script: str, seconds: float) -> tuple[int, str]:
        """Exit code and output of a script inside."""
        command = ["/bin/sh", "-c", script]
        body = {"command": command, "timeout_s": seconds}
        answer = self._call("POST", f"/environments/{self.environment}/exec", body, seconds)
        if answer.status != 200:
            return 255, str(answer.body)[:200]
        return answer.body["exit_code"], answer.body["stdout"] + answer.body["stderr"]

    def _call(self, method: str, path: str, body: Any, seconds: float) -> Any:
        return self.installation.call(method, path, body, timeout_s=seconds + 30)

    def _boot(self) -> None:
        until = time.monotonic() + BOOT_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                _code, said = self._do("systemctl is-system-running", 20)
                if said.split()[:1] in (["running"], ["degraded"]):
                    return
            time.sleep(1)
        raise AssertionError(f"it didn't boot within {BOOT_S} s")

    def _install(self, service: Service) -> None:
        result = self.results[service.name]
        options = "-o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold"
        install = f"dpkg --configure -a; apt-get install -qqy {options} {service.packages} </dev/null"
        install = f"export DEBIAN_FRONTEND=noninteractive; {install}"
        code, said = self._do(install, INSTALL_S)
        result.installed = code == 0
        if code == 0 and service.setup:
            code, said = self._do(service.setup, CHECK_S)
        if code != 0:
            result.said = _last(said)

    def _look(self, service: Service, *, after_reboot: bool) -> None:
        """Up and answering, within the time that a machine under load takes."""
        result = self.results[service.name]
        if not result.installed:
            return
        until = time.monotonic() + PATIENCE_S
        while True:
            is_up, said = self._is_up(service)
            code, answer = self._do(service.check, CHECK_S)
            if (is_up and code == 0) or time.monotonic() > until or service.why:
                break
            time.sleep(3)
        if after_reboot:
            result.after_reboot = is_up and code == 0
        else:
            result.up, result.answered = is_up, code == 0
        if not (is_up and code == 0):
            result.said = result.said or _last(answer if code else said)
        self.say(f"{self.group.name}: {service.name}: {'yes' if is_up and code == 0 else 'NO ' + result.said}")

    def _is_up(self, service: Service) -> tuple[bool, str]:
        if not service.units:
            return True, ""
        # a pattern stands for whichever of them is there
        code, said = self._do(f"for u in {_quoted(service.units)}; do systemctl list-units --no-legend --plain"
                              " --all \"$u\" \"$u.service\" | awk '{print $1, $3}'; done", CHECK_S)  # fmt: skip
        states = dict(line.split()[:2] for line in said.splitlines() if len(line.split()) == 2)
        return code == 0 and "active" in states.values() and "failed" not in states.values(), said

    def _reboot(self) -> None:
        _, before = self._do("cat /proc/sys/kernel/random/boot_id", 20)
        self._do("systemctl reboot", 20)
        until = time.monotonic() + BOOT_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                code, now = self._do("cat /proc/sys/kernel/random/boot_id", 20)
                if code == 0 and now != before:
                    return self._boot()
            time.sleep(1)
        raise AssertionError(f"it wasn't back {BOOT_S} s after a reboot from inside")


def _quoted(units: str) -> str:
    return " ".join(f"'{one}'" for one in units.split())


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:") or "ermi" in line or "rror" in line]
    return (errors or lines or [""])[-1][:160]

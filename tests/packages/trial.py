"""One group of services in one environment: installed, up, answered, and the same after a reboot."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.e2e.support import Installation
from tests.packages.catalogue import Group, Service
from tests.packages.system import System

LIMITS = {"cpu": 2, "memory_mb": 2048, "disk_mb": 12_288}
CHECK_S = 120
#: A service that was just started, or a machine that was, may take a while to answer.
PATIENCE_S = 60.0
Say = Callable[[str], None]
Keep = Callable[["Result"], None]


@dataclass
class Result:
    name: str
    installed: bool = False
    up: bool = False
    answered: bool = False
    after_reboot: bool = False
    said: str = ""
    """The last line of what failed first."""
    is_finished: bool = False
    """It was looked at after the reboot as well, or never could be."""

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
    keep: Keep
    """Called as each service was looked at, so that what is cut off loses nothing."""
    results: dict[str, Result] = field(default_factory=dict)

    def run(self) -> None:
        self.results = {one.name: Result(one.name) for one in self.group.services}
        try:
            with self._system() as system:
                for service in self.group.services:
                    self._install(system, service)
                    self._look(system, service, after_reboot=False)
                system.reboot()
                for service in self.group.services:
                    self._look(system, service, after_reboot=True)
        except (AssertionError, OSError) as failed:
            for one in self.results.values():
                one.said = one.said or f"the trial broke off: {failed}"[:200]
                self.keep(one)

    @contextmanager
    def _system(self) -> Iterator[System]:
        fields: dict[str, Any] = {"image": self.image, "limits": LIMITS, "stop_timeout_s": 60}
        if self.with_options:
            given = self.group.options
            fields["devices"] = [one for one in given if one.startswith("/dev/")]
            fields["security"] = {one: True for one in given if not one.startswith("/dev/")}
        system = System(self.installation, self.installation.create(f"pkg-{uuid.uuid4().hex[:8]}", **fields))
        try:
            system.boot()
            system.run("apt-get update -qq", 2 * CHECK_S)
            yield system
        finally:
            self.installation.delete(system.environment)

    def _install(self, system: System, service: Service) -> None:
        result = self.results[service.name]
        code, said = system.install(service.packages)
        result.installed = code == 0
        if code == 0 and service.setup:
            code, said = system.run(service.setup, CHECK_S)
        if code != 0:
            result.said = _last(said)

    def _look(self, system: System, service: Service, *, after_reboot: bool) -> None:
        """Up and answering, within the time that a machine under load takes."""
        result = self.results[service.name]
        if not result.installed:
            result.is_finished = after_reboot
            return self.keep(result)
        until = time.monotonic() + PATIENCE_S
        while True:
            is_up, said = _is_up(system, service)
            code, answer = system.run(service.check, CHECK_S)
            if (is_up and code == 0) or time.monotonic() > until or service.why:
                break
            time.sleep(3)
        if after_reboot:
            result.after_reboot, result.is_finished = is_up and code == 0, True
        else:
            result.up, result.answered = is_up, code == 0
        if not (is_up and code == 0):
            result.said = result.said or _last(answer if code else said)
        self.say(f"{self.group.name}: {service.name}: {'yes' if is_up and code == 0 else 'NO ' + result.said}")
        self.keep(result)


def _is_up(system: System, service: Service) -> tuple[bool, str]:
    if not service.units:
        return True, ""
    # a pattern stands for whichever of them is there
    listed = 'systemctl list-units --no-legend --plain --all "$u" "$u.service" | awk \'{print $1, $3}\''
    code, said = system.run(f"for u in {_quoted(service.units)}; do {listed}; done", CHECK_S)
    states = dict(line.split()[:2] for line in said.splitlines() if len(line.split()) == 2)
    return code == 0 and "active" in states.values() and "failed" not in states.values(), said


def _quoted(units: str) -> str:
    return " ".join(f"'{one}'" for one in units.split())


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:") or "ermi" in line or "rror" in line]
    return (errors or lines or [""])[-1][:160]

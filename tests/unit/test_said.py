"""`Said`: a sentence keeps its code and values wherever it goes, and nobody can send one that does harm."""

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from runtime.contract import ImageReport, ImageState, Step, StepState
from runtime.contract.said import DEEPEST, MOST_VALUES, Said, plain, says
from runtime.contract.words import changes, refusals, steps
from runtime.errors import RuntimeFault
from runtime.images.unpack import _vetted

_NOW = datetime(2026, 1, 2, tzinfo=UTC)


def _image(message: Any) -> ImageReport:
    return ImageReport(node="n", name="busybox", state=ImageState.FAILED, message=message, at=_NOW)


def test_a_sentence_is_its_english_with_its_code_and_values() -> None:
    said = refusals.disk_below_used(64, used=90)
    assert said == "disk: 64 MiB is below the 90 MiB in use"
    assert (said.code, said.values) == ("refusals.disk_below_used", {"wanted": 64, "used": 90})
    assert changes.hung(steps.named("monitor"), 1.0) == (
        "console and monitor: hung past the deadline of 1 s; the process was ended"
    )
    assert steps.several((steps.host_name(), steps.ssh_keys(2))) == "host name, 2 SSH keys"
    assert str(RuntimeFault(said)) == said


def test_it_crosses_the_border_whole() -> None:
    said = changes.and_then(refusals.node_full((refusals.free_in_pool(12),)), changes.nothing_is_left())
    there = ImageReport.model_validate_json(_image(said).model_dump_json()).message
    assert there == said == "no space is left (12 MiB free in the pool). Nothing is left of it."
    assert there.told() == said.told()
    first = there.values["what"]
    assert isinstance(first, Said)
    assert first.code == "refusals.node_full"
    assert pickle.loads(pickle.dumps(said)).told() == said.told()
    step = Step(name="start", verb="ensure", state=StepState.DONE, started_at=_NOW, detail=steps.made())
    assert json.loads(step.model_dump_json())["detail"] == {"code": "steps.made", "text": "made"}


def test_a_node_that_is_older_than_codes_is_understood() -> None:
    older = json.loads(_image("").model_dump_json()) | {"message": "no space is left"}
    message = ImageReport.model_validate(older).message
    assert (message, message.code, message.told()) == ("no space is left", "", "no space is left")


def test_a_code_that_is_not_known_here_comes_with_its_english() -> None:
    told = {"code": "of.tomorrow", "values": {"n": 7}, "text": "seven of them"}
    assert ImageReport.model_validate(_image("").model_dump() | {"message": told}).message == "seven of them"


_DEEP: Any = "x"
for _ in range(DEEPEST + 3):
    _DEEP = {"code": "changes.and_then", "values": {"what": _DEEP}, "text": "x"}


@pytest.mark.parametrize(
    "told",
    [
        7,
        ["made"],
        {"text": "made"},
        {"code": "", "text": "made"},
        {"code": "x" * 65, "text": "made"},
        {"code": "steps.made", "text": 7},
        {"code": "steps.made", "text": "made", "more": 1},
        {"code": "steps.made", "text": "made", "values": [1]},
        {"code": "steps.made", "text": "made", "values": {"a": None}},
        {"code": "steps.made", "text": "made", "values": {"a": [[[[[[[["x"]]]]]]]]}},
        {"code": "steps.made", "text": "made", "values": dict.fromkeys(map(str, range(MOST_VALUES + 1)), 1)},
        _DEEP,
    ],
)
def test_what_is_no_sentence_is_refused(told: Any) -> None:
    with pytest.raises(ValidationError):
        _image(told)


def test_words_without_end_are_cut() -> None:
    assert len(plain("x" * 5000)) == 2000
    said = refusals.runtime_refused("y" * 5000)
    assert len(said) <= 2000
    assert len(str(said.values["output"])) == 1000


def test_a_sentence_names_the_values_that_it_is_given() -> None:
    with pytest.raises(TypeError, match="needs other values"):

        @says("%(count)s keys")
        def keys(number: int) -> None: ...


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["leads_out", {"name": "../x"}], "../x in the archive leads out of it by “..”"),
        (["empty", {}], "the archive is empty"),
        (["no_directory", {"name": "x"}], "it is no tar archive that can be read to its end"),
        (["leads_out", {"nobody": "x"}], "it is no tar archive that can be read to its end"),
        (["leads_out", {"name": "x" * 10_000}], "x" * 600 + " in the archive leads out"),
        ("whatever", "it is no tar archive that can be read to its end (whatever)"),
        ([{}, 7], "it is no tar archive that can be read to its end"),
    ],
)
def test_a_reader_that_was_led_astray_says_nothing_of_its_own(told: Any, said: str) -> None:
    assert _vetted(told).startswith(said)


def test_what_no_column_or_terminal_should_have_is_in_no_sentence() -> None:
    """A NUL is refused by PostgreSQL, with all of the report that it is in."""
    odd, kept = "a\0b\x1b[2J\ud800\x7f\tc\n", "a\ufffdb\ufffd[2J\ufffd\ufffd\tc\n"
    assert str(plain(odd)) == kept
    told = refusals.no_plain_file(odd).told()
    assert isinstance(told, dict)
    assert told["values"] == {"path": kept}
    from_a_node = Said.read({"code": "other.code", "values": {"one": odd, "two": [odd]}, "text": odd})
    assert (str(from_a_node), from_a_node.values) == (kept, {"one": kept, "two": (kept,)})

"""What the contract's own checks find is told in the reader's language, and never in Pydantic's words."""

import ast
from pathlib import Path
from typing import Any

import pytest
from django.utils.translation import override
from pydantic_core._pydantic_core import list_all_errors

import runtime.contract
from panel.contract_input import _what, parse
from panel.environments.inputs import check_reference
from panel.errors import Invalid
from runtime.contract import AllowedDevice, AppRun, JailOptions, S3Place
from runtime.contract.words import asked

_CONTRACT = Path(runtime.contract.__file__).parent
#: Modules whose refusals no person's input comes to, and why.
NOT_ASKED = {
    "environment.py": "a whole spec, which the panel makes: what is asked for was checked by its parts",
    "jobs.py": "a job, which the panel makes",
    "processors.py": "all pools of a node, which the panel makes",
    "locked.py": "a key of the installation",
    "said.py": "what crossed the border",
    "seal.py": "the same",
    "secret.py": "the same",
    "transport.py": "the same",
    "redis_url.py": "the command line of whoever installs, in English as the rest of that",
}


def _refusals() -> list[tuple[str, ast.expr]]:
    """Of each module what it raises as a `ValueError`: in validators, and in what they call."""
    return [
        (path.name, node.exc.args[0])
        for path in sorted(_CONTRACT.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and ast.unparse(node.exc.func) == "ValueError"
    ]


def test_each_refusal_of_the_contract_has_a_code() -> None:
    found = _refusals()
    assert NOT_ASKED.keys() <= {name for name, _ in found}, "one of them refuses nothing any more"
    said = {f"{name}:{one.lineno}": ast.unparse(one) for name, one in found if name not in NOT_ASKED}
    plain = {place: text for place, text in said.items() if not text.startswith("asked.")}
    assert not plain, "add a sentence to runtime/contract/words/asked.py for each of these"
    used = {text.removeprefix("asked.").partition("(")[0] for text in said.values()}
    assert used == {name for name in vars(asked) if name.islower() and name[0] != "_" and name != "says"}


def _told(sort: str, example: dict[str, Any], language: str) -> str:
    with override(language):
        return _what({"type": sort, "msg": "Input should be valid", "loc": (), "input": 0, "ctx": example})


def test_no_word_of_pydantic_is_shown() -> None:
    for one in list_all_errors():
        told = [_told(one["type"], one["example_context"] or {}, language) for language in ("en", "id")]
        assert all(text and "Input" not in text and "rror" not in text for text in told), (one["type"], told)
        assert told[0] != told[1], f"{one['type']} has no Indonesian"


@pytest.mark.parametrize(
    ("model", "values", "english", "indonesian"),
    [
        (
            AppRun,
            {"files": {"/etc/hosts": ""}},
            "/etc/hosts is the node's to write",
            "/etc/hosts ditulis oleh node",
        ),
        (AppRun, {"user": "a b"}, "of the form ^", "berbentuk ^"),
        (AllowedDevice, {"name": "a", "path": "/dev/a/../b"}, "path: no .. in it", "path: tanpa .."),
        (JailOptions, {"allow": ["mount.proc"]}, "open nothing without mount", "tanpa mount"),
        (
            S3Place,
            {"endpoint": "ftp://a", "bucket": "abc"},
            "an endpoint is https://",
            "endpoint adalah https://",
        ),
    ],
)
def test_who_asked_reads_it_in_his_language(
    model: Any, values: dict[str, Any], english: str, indonesian: str
) -> None:
    for language, text in (("en", english), ("id", indonesian)):
        with override(language), pytest.raises(Invalid) as refused:
            parse(model, values)
        assert text in refused.value.message
        assert "alue error" not in refused.value.message


def test_an_images_name_is_refused_in_the_readers_language() -> None:
    with override("id"), pytest.raises(Invalid, match="digest adalah sha256"):
        check_reference("a@sha256:1")

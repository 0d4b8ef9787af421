"""Variables in a Compose file, by the table of the Compose specification (interpolation)."""

import re
from collections import ChainMap
from collections.abc import Callable, Mapping
from io import StringIO
from typing import Any, Final

from dotenv.parser import parse_stream

from panel.stacks.compose import sentences
from panel.stacks.compose.problems import Place, Problem, Reading, Room, plain
from runtime.contract.said import Said

#: Where a plain part ends, within braces and outside.
_BRACE, _DOLLAR = re.compile(r"[$}]"), re.compile(r"\$")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS: Final = (":-", ":?", ":+", "-", "?", "+")
_MOST_NESTED: Final = 10
#: Of one text once its variables are in it.
_LONGEST: Final = 256 * 1024


class BadText(ValueError):
    """A `$` that begins no variable, or a variable that has to be set and isn't."""

    def __init__(self, said: Said) -> None:
        super().__init__(said)
        self.said = said


class Interpolation:
    """Variables are those that are given and no others: nothing of the panel itself is among them."""

    def __init__(
        self, variables: Mapping[str, str], room: Room, unset: Callable[[str], None] = lambda name: None
    ) -> None:
        self._variables, self._room, self._unset = variables, room, unset

    def fill(self, text: str) -> str:
        """Raises `BadText` with a sentence, and `ComposeRefused` when that of all texts is too much."""
        if "$" not in text:
            return text
        found, at = self._until(text, 0, "", 0)
        assert at == len(text)
        if len(found) > _LONGEST:
            raise BadText(sentences.text_too_long())
        self._room.take(len(found))
        return found

    def _until(self, text: str, at: int, end: str, depth: int) -> tuple[str, int]:
        """What stands there up to `end` (empty: all of it), and where that is."""
        parts: list[str] = []
        size = 0
        while at < len(text) and (not end or text[at] != end):
            if text[at] != "$":
                found = (_BRACE if end else _DOLLAR).search(text, at)
                stop = found.start() if found else len(text)
                part, at = text[at:stop], stop
            else:
                part, at = self._variable(text, at + 1, depth)
            parts.append(part)
            size += len(part)
            if size > _LONGEST:
                raise BadText(sentences.text_too_long())
        return "".join(parts), at

    def _variable(self, text: str, at: int, depth: int) -> tuple[str, int]:
        self._room.take(0, 1)
        if text[at : at + 1] == "$":
            return "$", at + 1
        is_braced = text[at : at + 1] == "{"
        name = _NAME.match(text, at + is_braced)
        if name is None:
            raise BadText(sentences.begins_no_variable(plain(text[at - 1 :], 20)))
        if not is_braced:
            return self._value(name[0]), name.end()
        if depth == _MOST_NESTED:
            raise BadText(sentences.variables_too_deep())
        at = name.end()
        operator = next((one for one in _OPERATORS if text.startswith(one, at)), "")
        if operator:
            other, at = self._until(text, at + len(operator), "}", depth + 1)
        else:
            other = ""
        if text[at : at + 1] != "}":
            raise BadText(sentences.brace_has_no_end(plain(name[0])))
        return self._chosen(name[0], operator, other), at + 1

    def _chosen(self, name: str, operator: str, other: str) -> str:
        value = self._variables.get(name)
        is_there = value is not None and (value != "" or not operator.startswith(":"))
        if operator.endswith("-"):
            return str(value) if is_there else other
        if operator.endswith("+"):
            return other if is_there else ""
        if operator.endswith("?"):
            if not is_there:
                name = plain(name)
                raise BadText(
                    sentences.variable_needed_for(name, plain(other))
                    if other
                    else sentences.variable_needed(name)
                )
            return str(value)
        return self._value(name)

    def _value(self, name: str) -> str:
        value = self._variables.get(name)
        if value is None:
            self._unset(name)
            return ""
        return value


def fill_in(value: Any, variables: Mapping[str, str], reading: Reading) -> Any:
    """The whole document with its variables; what is bad is refused in `reading`. Keys and what begins with x-
    at its top stay as they are."""

    def walk(one: Any, place: Place) -> Any:
        if isinstance(one, dict):
            return {key: walk(each, (*place, key)) for key, each in one.items()}
        if isinstance(one, list):
            return [walk(each, (*place, number)) for number, each in enumerate(one)]
        if not isinstance(one, str):
            return one
        if "$" not in one:
            return one

        def unset(name: str) -> None:
            reading.note(place, sentences.variable_unset(name))

        try:
            return Interpolation(variables, reading.room, unset).fill(one)
        except BadText as wrong:
            reading.refuse(place, wrong.said)
            return ""

    if not isinstance(value, dict):
        return value
    return {key: each if str(key).startswith("x-") else walk(each, (key,)) for key, each in value.items()}


def read_env(
    text: str, known: Mapping[str, str], room: Room, *, name: str = "env"
) -> tuple[dict[str, str], list[Problem]]:
    """A file of variables, as `.env`: each line may use those above it, and `known`, which stand over them."""
    room.take(len(text))
    found: dict[str, str] = {}
    problems: list[Problem] = []
    said = Interpolation(ChainMap(dict(known), found), room)
    for binding in parse_stream(StringIO(text)):
        room.take(0, 1)
        line = binding.original.line
        if binding.error:
            problems.append(Problem(line, name, sentences.is_assignment()))
            continue
        if binding.key is None or binding.value is None:
            continue
        value = binding.value
        is_literal = binding.original.string.partition("=")[2].lstrip().startswith("'")
        if not is_literal:
            try:
                value = said.fill(value)
            except BadText as wrong:
                problems.append(Problem(line, name, wrong.said))
        found[binding.key] = value
    return {**found, **{key: value for key, value in known.items() if key in found}}, problems

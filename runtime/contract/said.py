"""`Said`: one sentence of a node, with the code and the values that it was made of.

A node's sentences stand in `runtime.contract.words`, each a function under the English that it says:

    @says("disk: %(wanted)s MiB is below the %(used)s MiB in use")
    def disk_below_used(wanted: int, used: int) -> None: ...

The panel puts the values into its own translation of that template; it never takes a sentence apart.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final, ParamSpec, Self, TypeAlias

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

#: A tuple is a list of words, shown with commas between them.
Value: TypeAlias = "str | int | float | Said | tuple[str | int | float | Said, ...]"
P = ParamSpec("P")

#: English by code: `volume.disk_below_used` is that function of `runtime.contract.words.volume`.
TEMPLATES: Final[dict[str, str]] = {}
LONGEST, LONGEST_VALUE, MOST_VALUES, DEEPEST = 2000, 1000, 50, 6
_PLACE = re.compile(r"%\((\w+)\)s")
#: Controls that no text has, and halves of pairs: PostgreSQL keeps no NUL, and a terminal obeys the rest.
_UNTOLD = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")


def _text(text: str) -> str:
    """As it may be kept and shown, whoever wrote what is quoted in it: a guest's file, a program, a node."""
    return _UNTOLD.sub("\ufffd", text)


class Said(str):
    """The sentence in English, as logs, journals and the command line show it.

    `code` and `values` say it in any other language. Without a code it is somebody else's words: a program's
    output, or a sentence of a node that is older than codes.
    """

    code: str
    values: Mapping[str, Value]

    def __new__(cls, text: str, code: str = "", values: Mapping[str, Value] | None = None) -> Self:
        said = super().__new__(cls, _text(text[:LONGEST]))
        said.code, said.values = code, values or {}
        return said

    def __getnewargs__(self) -> tuple[Any, ...]:
        return str(self), self.code, dict(self.values)

    @classmethod
    def read(cls, told: object) -> "Said":
        """From what crossed the border, or was stored: `ValueError` when it is neither text nor `told()`.

        A code that isn't known here is no error: its English came with it.
        """
        return told if isinstance(told, Said) else _read(told, 0)

    def told(self) -> str | dict[str, Any]:
        """As it crosses the border: plain text without a code."""
        if not self.code:
            return str(self)
        values = {name: _told(value) for name, value in self.values.items()}
        return {"code": self.code, **({"values": values} if values else {}), "text": str(self)}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls.told, return_schema=core_schema.any_schema()
            ),
        )


#: Nothing to say.
NOTHING: Final = Said("")


def says(template: str) -> Callable[[Callable[P, None]], Callable[P, Said]]:
    """Makes the decorated function give the `Said` of this English, filled with what it is called with."""

    def decorate(words: Callable[P, None]) -> Callable[P, Said]:
        names = tuple(inspect.signature(words).parameters)
        code = f"{words.__module__.rpartition('.')[2]}.{words.__name__}"
        if set(names) != set(_PLACE.findall(template)):
            raise TypeError(f"{code}: “{template}” needs other values than {names}")
        add(code, template)

        @wraps(words)
        def say(*args: P.args, **kwargs: P.kwargs) -> Said:
            given: dict[str, Any] = {**dict(zip(names, args, strict=False)), **kwargs}
            values = {name: _kept(given[name]) for name in names}
            return Said(fill(template, values), code, values)

        return say

    return decorate


def add(code: str, template: str) -> None:
    if TEMPLATES.setdefault(code, template) != template:
        raise TypeError(f"{code} says two things: “{template}” and “{TEMPLATES[code]}”")


def plain(text: str) -> Said:
    """What only whoever sits at the node's own terminal is told; it crosses no border, so it has no code."""
    return Said(text)


def fill(template: str, values: Mapping[str, Value], word: Callable[[Said], str] = str) -> str:
    """The template with its values; `word` says how a value that is words itself is shown."""
    return template % {name: _shown(value, word) for name, value in values.items()}


def _shown(value: Value, word: Callable[[Said], str]) -> str:
    if isinstance(value, tuple):
        return ", ".join(_shown(one, word) for one in value)
    return word(value) if isinstance(value, Said) else str(value)


def _kept(value: Value) -> Value:
    """As it is sent: numbers without digits that nobody reads, no text without end."""
    if isinstance(value, Said | int):
        return value
    if isinstance(value, tuple):
        return tuple(_kept(one) for one in value[:MOST_VALUES])  # type: ignore[misc]  # none is a tuple
    if isinstance(value, float):
        return int(value) if value.is_integer() else float(f"{value:g}")
    return _text(str(value)[:LONGEST_VALUE])


def _told(value: Value) -> Any:
    if isinstance(value, tuple):
        return [_told(one) for one in value]
    return value.told() if isinstance(value, Said) else value


def _read(told: object, depth: int) -> Said:
    if isinstance(told, str):
        return Said(told)
    if not isinstance(told, dict) or not {"code", "text"} <= told.keys() <= {"code", "text", "values"}:
        raise ValueError("neither text nor a code with its values")
    code, text, values = told["code"], told["text"], told.get("values", {})
    if not isinstance(code, str) or not 0 < len(code) <= 64 or not isinstance(text, str):
        raise ValueError("code: a text of 1 to 64 characters, with its English")
    if not isinstance(values, dict) or len(values) > MOST_VALUES or depth >= DEEPEST:
        raise ValueError("values: too many, or too deep")
    return Said(text, code, {_text(str(name)[:64]): _read_value(one, depth) for name, one in values.items()})


def _read_value(told: object, depth: int) -> Value:
    if isinstance(told, list) and len(told) <= MOST_VALUES and depth < DEEPEST:
        return tuple(_read_value(one, depth + 1) for one in told)  # type: ignore[misc]  # lists in lists: too deep
    if isinstance(told, dict):
        return _read(told, depth + 1)
    if isinstance(told, str):
        return _text(told[:LONGEST])
    if isinstance(told, int | float):
        return told
    raise ValueError("a value is text, a number, words, or a list of those")

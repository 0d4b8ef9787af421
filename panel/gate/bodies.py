"""JSON from outside, read strictly: UTF-8, each name once, numbers that fit, text that can be kept.

What the standard leaves to the reader (RFC 8259, 4, 6, 8.1 and 9) is decided here, once for the whole API: two
readers who decide differently are how one check is passed with one value and another value is used.
"""

import json
import math
from collections.abc import Iterator
from itertools import count
from typing import Any, NoReturn

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja.parser import Parser

from panel.errors import Invalid
from panel.gate.text import is_usable, sentence, shown

#: Objects and lists within each other; the API's own bodies have four.
MOST_DEEP = 20
#: Values of a body, and letters of a name in it: each that is wrong is a line of the refusal, and costs time.
MOST_VALUES, LONGEST_NAME = 10_000, 4096
_LEAST, _MOST = -(2**63), 2**63 - 1
#: Of what a double holds exactly; `512.0` is the whole number 512 (JSON Schema, 6.1.1).
_EXACT = 2.0**53


class NotJson(Invalid):
    """The body can't be understood at all."""

    code = "not_json"
    status = 400


class StrictJson(Parser):
    """The API's reader of bodies."""

    def parse_body(self, request: HttpRequest) -> Any:
        return read_json(request.body)


def read_json(body: bytes) -> Any:
    """What the body says. `NotJson` where it says nothing, `Invalid` about the field that can't be taken."""
    try:
        found = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_int=_whole,
            parse_float=_number,
            parse_constant=_no_number,
        )
        _look_through(found, (), 0, count(1))
    except UnicodeDecodeError as error:
        raise NotJson(_("The body isn't UTF-8: see its byte %(n)s.") % {"n": error.start}) from None
    except json.JSONDecodeError as error:
        where = {"line": error.lineno, "column": error.colno}
        raise NotJson(_("The body is no JSON: see line %(line)s, column %(column)s.") % where) from None
    except RecursionError:
        raise _too_deep() from None
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen = set[str]()
        for name, _value in pairs:
            if name in seen:
                text = _("%(name)s is given twice: which of them is meant?") % {"name": shown(name)}
                raise Invalid(text, field=shown(name))
            seen.add(name)
    return made


def _whole(digits: str) -> int:
    if len(digits) > len(str(_LEAST)) or not _LEAST <= int(digits) <= _MOST:
        raise _beyond(digits)
    return int(digits)


def _number(digits: str) -> float | int:
    found = float(digits)
    if not math.isfinite(found):
        raise _beyond(digits)
    return int(found) if found.is_integer() and abs(found) <= _EXACT else found


def _beyond(digits: str) -> Invalid:
    text = _("The number %(digits)s is larger than any that has a use here.")
    return Invalid(text % {"digits": digits if len(digits) <= 24 else f"{digits[:20]}…"})


def _no_number(word: str) -> NoReturn:
    raise NotJson(_("The body is no JSON: %(word)s is no number there.") % {"word": word})


def _too_deep() -> Invalid:
    return Invalid(_("The body has objects within objects, more than %(n)s deep.") % {"n": MOST_DEEP})


def _look_through(value: Any, path: tuple[str, ...], depth: int, number: Iterator[int]) -> None:
    """Raises `Invalid` for text that can't be kept, wherever it stands, for what is too deep or too much."""
    if isinstance(value, str):
        if not is_usable(value):
            raise Invalid(sentence(), field=".".join(path))
    elif isinstance(value, dict | list):
        if depth >= MOST_DEEP:
            raise _too_deep()
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if next(number) > MOST_VALUES:
                raise Invalid(_("The body has more than %(n)s values.") % {"n": MOST_VALUES})
            if isinstance(name, str) and len(name) > LONGEST_NAME:
                text = _("A name in the body is longer than %(n)s letters.")
                raise Invalid(text % {"n": LONGEST_NAME}, field=".".join([*path, shown(name)]))
            if isinstance(name, str) and not is_usable(name):
                raise Invalid(sentence(), field=".".join([*path, shown(name)]))
            _look_through(inner, (*path, str(name)), depth + 1, number)

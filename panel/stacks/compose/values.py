"""Single values of a Compose file: each reader says what it takes, where it is given something else."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from panel.stacks.compose import sentences
from panel.stacks.compose.problems import Place, Reading, plain
from panel.text import LONGEST_COMMAND, shell_words

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_DURATION = re.compile(r"(?:([0-9]+(?:\.[0-9]+)?)(h|ms|us|ns|m|s))")
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "ns": 1e-9}
_TRUE, _FALSE = frozenset({"true", "yes", "on", "y", "1"}), frozenset({"false", "no", "off", "n", "0"})
_MIB: Final = 2**20


def text(reading: Reading, place: Place, value: Any) -> str:
    """Empty where it is no text."""
    if isinstance(value, str):
        return value
    if value is not None:
        reading.refuse(place, sentences.is_text())
    return ""


def boolean(reading: Reading, place: Place, value: Any) -> bool:
    word = value.lower() if isinstance(value, str) else ""
    if word not in _TRUE | _FALSE:
        reading.refuse(place, sentences.is_boolean())
    return word in _TRUE


def integer(reading: Reading, place: Place, value: Any, least: int, most: int) -> int:
    """`least` where it is none."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,15}", value) and least <= int(value) <= most:
        return int(value)
    reading.refuse(place, sentences.is_integer(least, most))
    return least


def number(reading: Reading, place: Place, value: Any) -> float:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?|\.[0-9]{1,9}", value):
        return float(value)
    reading.refuse(place, sentences.is_number())
    return 1.0


def mebibytes(reading: Reading, place: Place, value: Any) -> int:
    """Bytes as Compose writes them (`64m`, `2gb`, `1048576`), in MiB, 1 at least."""
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or len(found[1]) > 18:
        reading.refuse(place, sentences.is_size())
        return 1
    return max(1, round(float(found[1]) * _UNITS[found[2].lower()] / _MIB))


def seconds(reading: Reading, place: Place, value: Any) -> float:
    """A duration: `10s`, `1m30s`, `500ms`."""
    given = value.strip() if isinstance(value, str) else ""
    if given == "0":
        return 0.0
    parts = _DURATION.findall(given)
    if not parts or "".join(amount + unit for amount, unit in parts) != given or len(given) > 40:
        reading.refuse(place, sentences.is_duration())
        return 0.0
    return sum(float(amount) * _SECONDS[unit] for amount, unit in parts)


def mapping(reading: Reading, place: Place, value: Any) -> dict[str, Any]:
    """Empty for nothing, and where it is none."""
    if isinstance(value, dict):
        return value
    if value is not None:
        reading.refuse(place, sentences.is_mapping())
    return {}


def listing(reading: Reading, place: Place, value: Any) -> Sequence[Any]:
    if isinstance(value, list):
        return value
    if value is not None:
        reading.refuse(place, sentences.is_list())
    return []


def texts(reading: Reading, place: Place, value: Any) -> list[str]:
    """A list of texts, or one of them alone."""
    if isinstance(value, str):
        return [value]
    return [text(reading, (*place, n), one) for n, one in enumerate(listing(reading, place, value))]


def words(reading: Reading, place: Place, value: Any) -> tuple[str, ...] | None:
    """Of a command: a list, or one text that is taken apart as a shell does, without running one."""
    if value is None:
        return None
    if isinstance(value, list):
        return tuple(text(reading, (*place, n), one) for n, one in enumerate(value))
    given = text(reading, place, value)
    if len(given) > LONGEST_COMMAND:
        reading.refuse(place, sentences.command_too_long())
        return None
    try:
        return tuple(shell_words(given))
    except ValueError:
        reading.refuse(place, sentences.quote_has_no_end())
        return None


def pairs(reading: Reading, place: Place, value: Any) -> dict[str, str | None]:
    """`NAME: value`, or a list of `NAME=value`; None: the name stands alone."""
    if isinstance(value, list):
        found: dict[str, str | None] = {}
        for n, one in enumerate(value):
            name, equals, rest = text(reading, (*place, n), one).partition("=")
            found[name] = rest if equals else None
        return found
    return {
        name: None if one is None else text(reading, (*place, name), one)
        for name, one in mapping(reading, place, value).items()
    }


def refuse_others(reading: Reading, place: Place, value: Mapping[str, Any], known: Sequence[str]) -> None:
    """Keys that are not among these, but for what begins with x-."""
    for key in value:
        if key not in known and not key.startswith("x-"):
            reading.refuse((*place, key), sentences.unknown_of(plain(key), tuple(known)))

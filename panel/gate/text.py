"""Text that no field can hold: PostgreSQL keeps no NUL, and half of a surrogate pair is no UTF-8."""

from collections.abc import Iterable

from django.utils.translation import gettext as _


def is_usable(text: str) -> bool:
    """Whether both databases, and UTF-8, have a place for each of its characters."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def first_unusable(pairs: Iterable[tuple[str, str]]) -> str | None:
    """The name of the first pair whose name or value can't be kept; None: all can."""
    for name, value in pairs:
        if not (is_usable(value) and is_usable(name)):
            return shown(name)
    return None


def shown(name: str) -> str:
    """A name from outside, fit for a sentence: short, and without what can't be kept or seen."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in name[:60])


def sentence() -> str:
    return _("It holds a character that no text can have here: NUL, or half of a surrogate pair.")

"""What people call things and say of them: in one line, and of characters that can be seen.

A line break forges records wherever a name is written (a log, a mail's head, a CSV), and characters that turn
the reading around or take no room make one name look like another. Unicode's general categories tell them.
"""

import re
import shlex
import unicodedata

from django.utils.translation import gettext as _

from panel.errors import Invalid

#: Controls, formats (bidirectional overrides, zero widths, tags), surrogates, private use, separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
#: Letters and marks by their category that are drawn as nothing: fillers, the blank Braille pattern, joiners.
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_ALL_KINDS_OF_SPACE = re.compile(r"[^\S\t\n\r\x0b\x0c\x1c-\x1f\x85\u2028\u2029]")


#: shlex takes time by the square of a word: 30 ms for this, minutes for a MB.
LONGEST_COMMAND = 32_768


def shell_words(text: str) -> list[str]:
    """Of a command, taken apart as a shell does, without running one. Raises ValueError where a quote has no
    end, or it is longer than `LONGEST_COMMAND`."""
    if len(text) > LONGEST_COMMAND:
        raise ValueError
    return shlex.split(text)


def line(text: str, *, field: str = "name", most: int, least: int = 1) -> str:
    """One line without spaces at either end, composed (NFC). Raises `Invalid` that names the bad character."""
    return _checked(text, field, most, least, allowed="")


def paragraphs(text: str, *, field: str, most: int) -> str:
    """The same of several lines, which tabs may be in; it may be empty."""
    return _checked(text.replace("\r\n", "\n"), field, most, 0, allowed="\n\t")


def _checked(text: str, field: str, most: int, least: int, *, allowed: str) -> str:
    for place, one in enumerate(text, 1):
        if one not in allowed and (one in _FILLERS or unicodedata.category(one) in _UNSEEN):
            raise Invalid(
                _("%(field)s has only characters that can be seen; %(code)s at place %(place)s can't.")
                % {"field": field, "place": place, "code": f"U+{ord(one):04X}"},
                field=field,
            )
    found = unicodedata.normalize("NFC", _ALL_KINDS_OF_SPACE.sub(" ", text)).strip()
    if not least <= len(found) <= most:
        raise Invalid(
            _("%(field)s has %(least)s to %(most)s characters.")
            % {"field": field, "least": least, "most": most},
            field=field,
        )
    return found


def slug_of(name: str) -> str:
    """A name as a part of an address: lower-case letters, digits and hyphens, never empty."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-") or "tenant"


def lines_of(text: str) -> list[str]:
    """Without empty ones and without space around them."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def words_of(text: str) -> list[str]:
    """Between spaces or commas."""
    return text.replace(",", " ").split()

"""The loader of our templates: line breaks and indentation are for the reader and are gone when it is loaded.

A run of white space that holds a line break is nothing beside a tag, of HTML or of the template language, and
one space between words and variables; inside a tag of HTML it is one space. The rule is JSX's. A space that is
wanted where a line ends is written `{{ " " }}` and loaded as one. What stands in `pre`, `textarea`, `script`
and `blocktrans` stays as it is.
"""

import re
from collections.abc import Iterator

from django.template import Origin
from django.template.loaders import filesystem

#: A space that stays though a line ends beside it.
SPACE = '{{ " " }}'
_TEMPLATE = r"\{%\s*(?:blocktrans.*?\{%\s*endblocktrans|comment.*?\{%\s*endcomment|).*?%\}|\{\#.*?\#\}"
_VARIABLE = r"\{\{.*?\}\}"
_HELD = rf"{_TEMPLATE}|{_VARIABLE}"
_ATTRIBUTES = rf"""(?:{_HELD}|"(?:{_HELD}|[^"])*"|'(?:{_HELD}|[^'])*'|[^>"'])*"""
_PARTS = re.compile(
    rf"<(?P<kept>pre|textarea|script)\b{_ATTRIBUTES}>.*?</(?P=kept)\s*>|{_HELD}|<!?/?[a-zA-Z]{_ATTRIBUTES}>",
    re.DOTALL,
)
_BREAK = re.compile(r"[ \t]*\n\s*")


class Loader(filesystem.Loader):
    """Django's loader of files, for pages. Others (mails in plain text, words in JSON) stay as they are."""

    def get_contents(self, origin: Origin) -> str:
        source = str(super().get_contents(origin))
        return (
            tighten(source) if origin.template_name and str(origin.template_name).endswith(".html") else source
        )


def tighten(source: str) -> str:
    """A template without what was written for its reader's eye. The same when done again."""
    parts = list(_parts(source))
    tight = []
    for index, (part, is_tag) in enumerate(parts):
        if is_tag or part.startswith("{{"):
            tight.append(part)
            continue
        after_tag = index == 0 or parts[index - 1][1]
        before_tag = index == len(parts) - 1 or parts[index + 1][1]
        tight.append(_text(part, after_tag=after_tag, before_tag=before_tag))
    return "".join(tight)


def _text(text: str, *, after_tag: bool, before_tag: bool) -> str:
    if after_tag:
        text = re.sub(r"\A[ \t]*\n\s*", "", text)
    if before_tag:
        text = re.sub(r"[ \t]*\n\s*\Z", "", text)
    return _BREAK.sub(" ", text)


def _parts(source: str) -> Iterator[tuple[str, bool]]:
    """Each piece, and whether a line break beside it is nothing: not so for text and variables."""
    at = 0
    for found in _PARTS.finditer(source):
        if found.start() > at:
            yield source[at : found.start()], False
        part = found.group()
        if part.startswith("<") and not found["kept"]:
            part = _BREAK.sub(" ", part)
        yield (" " if part == SPACE else part), part == SPACE or not part.startswith("{{")
        at = found.end()
    if at < len(source):
        yield source[at:], False

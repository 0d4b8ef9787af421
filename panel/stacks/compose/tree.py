"""A Compose file as YAML: mappings, lists, text and nothing, with the line that each stands on.

Every scalar but null stays the text that was written: `1.10`, `no` and `true` are what they are in a variable,
and what reads a number reads it from its text. Bounds hold before anything is built, so that no file costs more
than its size is worth.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from panel.stacks.compose import sentences
from panel.stacks.compose.problems import ComposeRefused, Place, Problem, Reading, plain
from runtime.contract.said import Said

#: Parser in C: a file of 1 MiB takes a tenth of what Python takes. Both build nothing but nodes.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MOST_BYTES: Final = 2**20
MOST_ALIASES, MOST_DEPTH, _MOST_EVENTS, MOST_VALUES = 200, 50, 30_000, 50_000
_CORE: Final = "tag:yaml.org,2002:"
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_MERGE: Final = "<<"

Value = dict[str, Any] | list[Any] | str | None


@dataclass
class Document:
    value: Value
    lines: dict[Place, int] = field(default_factory=dict)


def parse(text: str) -> Document:
    """Raises `ComposeRefused` with everything that is wrong with it as YAML."""
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise _refused(0, sentences.file_too_large())
    try:
        _look_over(text)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        said = sentences.no_yaml(plain(str(wrong.problem or wrong.context or "")))
        raise _refused(mark.line + 1 if mark else 0, said) from wrong
    except ComposeRefused:
        raise
    except (yaml.YAMLError, ValueError) as wrong:
        raise _refused(0, sentences.odd_letters()) from wrong
    builder = _Builder()
    document = Document(builder.build(node, ()) if node is not None else None, builder.lines)
    reading = Reading(document.lines, builder.problems)
    reading.end()
    return document


def _refused(line: int, text: Said) -> ComposeRefused:
    return ComposeRefused([Problem(line, "", text)])


def _look_over(text: str) -> None:
    depth = aliases = documents = 0
    for number, event in enumerate(_events(text)):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        elif isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if documents > 1:
            raise _refused(line, sentences.second_document())
        if aliases > MOST_ALIASES:
            raise _refused(line, sentences.too_many_aliases(MOST_ALIASES))
        if depth > MOST_DEPTH:
            raise _refused(line, sentences.too_deep(MOST_DEPTH))
        if number > _MOST_EVENTS:
            raise _refused(line, sentences.too_much())


def _events(text: str) -> Iterator[yaml.Event]:
    yield from yaml.parse(text, Loader=_LOADER)


class _Builder:
    """From nodes to values. An anchor that is used is built anew each time: what that comes to is bounded."""

    def __init__(self) -> None:
        self.lines: dict[Place, int] = {}
        self.problems: list[Problem] = []
        self._values = 0
        self._open: set[int] = set()

    def build(self, node: yaml.Node, place: Place) -> Value:
        self._values += 1
        line = node.start_mark.line + 1
        if self._values > MOST_VALUES:
            raise _refused(line, sentences.too_many_values())
        if id(node) in self._open:
            raise _refused(line, sentences.anchor_within_itself())
        self.lines.setdefault(place, line)
        if not node.tag.startswith(_CORE):
            self._refuse(node, place, sentences.unknown_tag(plain(node.tag)))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(one, (*place, number)) for number, one in enumerate(node.value)]
            return self._mapping(node, place)
        finally:
            self._open.discard(id(node))

    @staticmethod
    def _scalar(node: yaml.ScalarNode) -> str | None:
        text: str = node.value
        return None if not node.style and text in _NULL and node.tag == f"{_CORE}null" else text

    def _mapping(self, node: yaml.Node, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, place, sentences.key_is_a_word())
            elif key.value == _MERGE and not key.style:
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif key.value in found:
                self._refuse(key, (*place, key.value), sentences.twice(plain(key.value)))
            else:
                self.lines.setdefault((*place, key.value), key.start_mark.line + 1)
                found[key.value] = self.build(value, (*place, key.value))
        for other in merged:
            self._merge(other, place, found)
        return found

    def _merge(self, node: yaml.Node, place: Place, into: dict[str, Any]) -> None:
        """What is there already stays, as YAML's merge key has it."""
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, place, sentences.odd_merge())
            return
        if id(node) in self._open:
            raise _refused(node.start_mark.line + 1, sentences.anchor_within_itself())
        self._open.add(id(node))
        more = self._mapping(node, place)
        self._open.discard(id(node))
        for key, value in more.items():
            into.setdefault(key, value)

    def _refuse(self, node: yaml.Node, place: Place, text: Said) -> None:
        self.problems.append(Problem(node.start_mark.line + 1, ".".join(map(str, place))[:120], text))

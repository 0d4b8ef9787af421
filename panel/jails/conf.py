"""jail.conf(5) as text: blocks, parameters and variables, each with its line. What they mean is in
`panel.jails.meaning`.

Grammar: statements end with `;`. `name;` is true, `noname;` false, `name = value, …;` a list, `+=` adds to
it, `$name = value;` a variable; `NAME { … }` a jail, `*` (also as last part of a name) the defaults of all
that match.
Values are words, 'text' or "text"; variables stand in words and in "text". Comments are those of shell, C
and C++.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

MOST_LETTERS, MOST_JAILS = 200_000, 100
_MOST_STATEMENTS, _MOST_TEXT, _DEEPEST = 2_000, 10_000, 50
#: Of all jails together, with their variables written out: defaults and variables make much of a short file.
_MOST_WRITTEN = 2_000_000
_WORD = re.compile(r"[^\s;{},=+'\"#$]+|\$(?!\{)|\+(?!=)")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][\w.]*)\}|([A-Za-z_]\w*))|\\(.)", re.DOTALL)
_BRACED = re.compile(r"\$\{[A-Za-z_][\w.]*\}")
_SPACE = re.compile(r"\s+|#[^\n]*|//[^\n]*|/\*.*?\*/", re.DOTALL)


class BadConf(Exception):
    """It can't be read. `line` and a sentence."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line, self.text = line, text


@dataclass(frozen=True)
class Token:
    line: int
    text: str
    is_sign: bool = False
    """Of the grammar: `{`, `}`, `;`, `,`, `=` or `+=`."""
    is_plain: bool = False
    """'text': no variable stands in it."""


@dataclass(frozen=True)
class Statement:
    """One parameter as it is written."""

    line: int
    name: str
    values: tuple[Token, ...]
    """None: it is said without one."""
    adds: bool = False


@dataclass
class Block:
    line: int
    pattern: str
    """Of names of jails; `*` outside of all blocks."""
    statements: list[Statement] = field(default_factory=list)

    def is_about(self, name: str) -> bool:
        if self.pattern.endswith("*"):
            return name.startswith(self.pattern[:-1])
        return self.pattern == name


@dataclass(frozen=True)
class Parameter:
    """What one jail has of a parameter, variables written out."""

    line: int
    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Jail:
    line: int
    name: str
    parameters: tuple[Parameter, ...]


def read(text: str) -> list[Jail]:
    """The jails of a file, in its order. Raises `BadConf`."""
    if len(text) > MOST_LETTERS:
        raise BadConf(1, _("It has more than %(count)s letters.") % {"count": MOST_LETTERS})
    blocks = _blocks(list(_tokens(text)))
    names: dict[str, int] = {}
    for block in blocks:
        if "*" not in block.pattern:
            names.setdefault(block.pattern, block.line)
    if len(names) > MOST_JAILS:
        raise BadConf(1, _("It has more than %(count)s jails.") % {"count": MOST_JAILS})
    if sum(len(block.statements) for block in blocks) > _MOST_STATEMENTS:
        raise BadConf(1, _("It has more than %(count)s parameters.") % {"count": _MOST_STATEMENTS})
    room = _Room()
    return [Jail(line, name, _of_jail(name, blocks, room)) for name, line in names.items()]


def _tokens(text: str) -> Iterator[Token]:
    at, line = 0, 1
    while at < len(text):
        if space := _SPACE.match(text, at):
            line += space.group().count("\n")
            at = space.end()
        elif text.startswith("/*", at):
            raise BadConf(line, _("A comment isn't closed."))
        elif text[at] in "'\"":
            end = _end_of_text(text, at, line)
            yield Token(line, text[at + 1 : end], is_plain=text[at] == "'")
            line += text.count("\n", at, end)
            at = end + 1
        elif text.startswith("+=", at):
            yield Token(line, "+=", is_sign=True)
            at += 2
        elif text[at] in "{};,=":
            yield Token(line, text[at], is_sign=True)
            at += 1
        else:
            found, at = _word(text, at, line)
            yield Token(line, found)


def _word(text: str, at: int, line: int) -> tuple[str, int]:
    """With `${…}` in it."""
    start = at
    while at < len(text):
        if text.startswith("${", at):
            name = _BRACED.match(text, at)
            if name is None:
                raise BadConf(line, _("A variable's name isn't closed."))
            at = name.end()
        elif part := _WORD.match(text, at):
            at = part.end()
        else:
            break
    return text[start:at], at


def _end_of_text(text: str, at: int, line: int) -> int:
    quote, place = text[at], at + 1
    while place < len(text):
        if text[place] == "\\" and quote == '"':
            place += 2
        elif text[place] == quote:
            return place
        else:
            place += 1
    raise BadConf(line, _("A quotation mark isn't closed."))


def _blocks(tokens: list[Token]) -> list[Block]:
    """In their order; what stands outside of all is one for `*`, each by itself."""
    found: list[Block] = []
    inside: Block | None = None
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.text == "}" and token.is_sign:
            if inside is None:
                raise BadConf(token.line, _("Nothing is open here that } would close."))
            inside, at = None, at + 1
            if at < len(tokens) and tokens[at].is_sign and tokens[at].text == ";":
                at += 1
            continue
        if token.is_sign and token.text == ";":
            at += 1
            continue
        if token.is_sign:
            raise BadConf(token.line, _("%(sign)s stands where a name is expected.") % {"sign": token.text})
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        if following is not None and following.is_sign and following.text == "{":
            if inside is not None:
                raise BadConf(token.line, _("A jail stands within another one's braces."))
            inside = Block(token.line, token.text)
            found.append(inside)
            at += 2
            continue
        if token.text == ".include":
            raise BadConf(
                token.line, _("It includes another file, which isn't here: put what that has into this one.")
            )
        statement, at = _statement(tokens, at)
        if inside is not None:
            inside.statements.append(statement)
        else:
            found.append(Block(token.line, "*", [statement]))
    if inside is not None:
        raise BadConf(inside.line, _("The braces that are opened here aren't closed."))
    return found


def _statement(tokens: list[Token], at: int) -> tuple[Statement, int]:
    """And where the next one begins."""
    name, wants_value = tokens[at], False
    values: list[Token] = []
    at += 1
    sign = tokens[at] if at < len(tokens) and tokens[at].is_sign else None
    if sign is not None and sign.text in ("=", "+="):
        at, wants_value = at + 1, True
    adds = sign is not None and sign.text == "+="
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token.is_sign and token.text == ";":
            if wants_value:
                raise BadConf(token.line, _("A value is missing."))
            return Statement(name.line, name.text, tuple(values), adds), at
        if token.is_sign and token.text == "," and values and not wants_value:
            wants_value = True
        elif not token.is_sign and wants_value:
            values.append(token)
            wants_value = False
        else:
            break
    raise BadConf(
        name.line, _("What is said of %(name)s doesn't end with a semicolon.") % {"name": name.text[:60]}
    )


def _of_jail(name: str, blocks: list[Block], room: "_Room") -> tuple[Parameter, ...]:
    """What holds for it: later stands over earlier, wherever it stands."""
    held: dict[str, tuple[int, list[Token]]] = {"name": (0, [Token(0, name, is_plain=True)])}
    for statement in (one for block in blocks if block.is_about(name) for one in block.statements):
        known = held[statement.name][1] if statement.adds and statement.name in held else []
        known.extend(statement.values)
        held[statement.name] = (statement.line, known)
    written = _Written({key.removeprefix("$"): tokens for key, (_line, tokens) in held.items()}, room)
    return tuple(
        Parameter(line, key, tuple(written.out(one) for one in tokens))
        for key, (line, tokens) in held.items()
        if not key.startswith("$") and key != "name"
    )


class _Room:
    """For what a whole file comes to."""

    def __init__(self) -> None:
        self._left = _MOST_WRITTEN

    def take(self, token: Token, text: str) -> str:
        self._left -= len(text)
        if self._left < 0:
            raise BadConf(
                token.line, _("Its values come to more than %(count)s letters.") % {"count": _MOST_WRITTEN}
            )
        return text


class _Written:
    """Values of one jail with their variables written out, each once."""

    def __init__(self, values: dict[str, list[Token]], room: _Room) -> None:
        self._values, self._room = values, room
        self._known: dict[str, str] = {}
        self._within: list[str] = []

    def out(self, token: Token) -> str:
        if token.is_plain:
            return self._room.take(token, token.text)
        text = _VARIABLE.sub(lambda found: self._part(found, token), token.text)
        if len(text) > _MOST_TEXT:
            raise BadConf(token.line, _("A value has more than %(count)s letters.") % {"count": _MOST_TEXT})
        return self._room.take(token, text)

    def _part(self, found: re.Match[str], token: Token) -> str:
        part = self._escaped(found[3]) if found[3] else self._of(found[1] or found[2], token.line)
        return self._room.take(token, part)

    @staticmethod
    def _escaped(letter: str) -> str:
        return {"n": "\n", "t": "\t"}.get(letter, letter)

    def _of(self, name: str, line: int) -> str:
        if name not in self._values:
            raise BadConf(line, _("The variable %(name)s isn't set.") % {"name": name[:60]})
        if name in self._within or len(self._within) > _DEEPEST:
            raise BadConf(line, _("The variable %(name)s is made of itself.") % {"name": name[:60]})
        if name not in self._known:
            self._within.append(name)
            self._known[name] = ",".join(self.out(one) for one in self._values[name])
            self._within.pop()
        return self._known[name]

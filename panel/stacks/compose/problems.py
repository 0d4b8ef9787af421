"""What is wrong with a Compose file, and what is taken otherwise than it says: all of it, with lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from panel.stacks.compose import sentences
from runtime.contract.said import NOTHING, Said

#: A key of a mapping, or a number in a list, from the top of the document on.
Place = tuple[str | int, ...]
#: Of problems, so many are told; the rest is a number. Of notes the rest is left out.
MOST_TOLD = 60
MOST_NOTES = 200
#: Of one reading: letters of variables and of what they are put into, and how often one is given or asked for.
_MOST_LETTERS, _MOST_VARIABLES = 4 * 2**20, 10_000
_LONGEST = 120


@dataclass(frozen=True)
class Problem:
    """One thing that can't be had."""

    line: int
    """In the file, from 1 on; 0: it is no line's."""
    place: str
    """`services.web.privileged`."""
    text: Said
    way_round: Said = NOTHING


@dataclass(frozen=True)
class Note:
    """One thing that is done otherwise than the file says, or not at all, and does no harm."""

    line: int
    place: str
    text: Said


class ComposeRefused(ValueError):
    """The file asks for what can't be had. `problems`: all of it, in the order of lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = sorted(problems, key=lambda one: (one.line, one.place))
        super().__init__(self.problems[0].text if self.problems else "")


@dataclass
class Room:
    """What variables may come to in one reading, whatever is written in a line of theirs."""

    letters: int = _MOST_LETTERS
    variables: int = _MOST_VARIABLES

    def take(self, letters: int, variables: int = 0) -> None:
        """Raises `ComposeRefused` when there is no more."""
        self.letters -= letters
        self.variables -= variables
        if self.letters < 0 or self.variables < 0:
            raise ComposeRefused([Problem(0, "", sentences.variables_too_much())])


@dataclass
class Reading:
    """One file while it is read."""

    lines: Mapping[Place, int]
    problems: list[Problem] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    room: Room = field(default_factory=Room)

    def line(self, place: Place) -> int:
        """Of the place, or of the nearest that it is within."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 0)

    def refuse(self, place: Place, text: Said, way_round: Said = NOTHING) -> None:
        self.problems.append(Problem(self.line(place), shown(place), text, way_round))

    def note(self, place: Place, text: Said) -> None:
        note = Note(self.line(place), shown(place), text)
        if len(self.notes) < MOST_NOTES and note not in self.notes:
            self.notes.append(note)

    def end(self) -> None:
        """Raises `ComposeRefused` where anything was refused."""
        if self.problems:
            raise ComposeRefused(self.problems)


def shown(place: Place) -> str:
    """`services.web.ports[0]`, of any length and with any letters in the file."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{plain(part)}" if text else plain(part)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def plain(text: str, most: int = 60) -> str:
    """Somebody's text within a sentence: on one line, and no longer than this."""
    line = "".join(one if one.isprintable() else "·" for one in text)
    return line if len(line) <= most else f"{line[: most - 1]}…"

"""A Compose file's refusal, as the panel refuses things."""

from django.utils.translation import gettext as _

from panel.errors import Refused
from panel.said import shown
from panel.stacks.compose import ComposeRefused, Problem, Project, Source, read
from panel.stacks.compose.problems import MOST_TOLD


class BadCompose(Refused):
    """`problems`: each with its line; nothing was started."""

    code = "bad_compose"
    status = 422

    def __init__(self, refused: ComposeRefused) -> None:
        self.problems: list[Problem] = refused.problems
        first, count = refused.problems[0], len(refused.problems)
        text = line_of(first)
        if count > 1:
            text = _("%(first)s (and %(more)s more)") % {"first": text, "more": count - 1}
        super().__init__(text, field="compose", next_step=shown(first.way_round))

    @property
    def errors(self) -> list[dict[str, str]]:
        """For the API: all of it, each as one line."""
        return [
            {"field": "compose", "message": "; ".join(filter(None, (line_of(one), shown(one.way_round))))}
            for one in self.problems[:MOST_TOLD]
        ]


def line_of(one: Problem) -> str:
    where = f"{one.place}: " if one.place else ""
    text = f"{where}{shown(one.text)}"
    return _("line %(line)s: %(text)s") % {"line": one.line, "text": text} if one.line else text


def project_of(source: Source) -> Project:
    """Raises `BadCompose` with everything that can't be had."""
    try:
        return read(source)
    except ComposeRefused as refused:
        raise BadCompose(refused) from refused

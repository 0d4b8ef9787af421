"""For the list of environments: what they use, and what one may ask of them."""

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from panel.environments.states import State
from panel.ui.templatetags.wadah import bytes_text, icon, mib, number, rects

register = template.Library()

_SPARK = format_html('<svg class="{}"></svg>', "spark")


@register.simple_tag
def usage_cell(metric: str, used: float | None, limit: float, label: str) -> SafeString:
    """A cell of the list with what an environment uses of a limit, which usage.js keeps right.

    `cpu` is in vCPUs, and sparks.js draws its last half hour; of `memory_bytes` and `disk_bytes` the limit is
    in MiB.
    """
    text, whole = (number, limit) if metric == "cpu" else (bytes_text, mib(limit))
    return format_html(
        '<td data-label="{}" data-metric="{}" data-limit="{}"><div class="meter"><div class="figures">'
        "<span data-now>{}</span> /\N{NO-BREAK SPACE}{}</div>{}{}</div></td>",
        label,
        metric,
        f"{whole:.15g}",
        _whole(text(used or 0)),
        _whole(text(whole)),
        rects(used, whole, label),
        _SPARK if metric == "cpu" else "",
    )


def _whole(text: str) -> str:
    """A number and its unit stay on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


#: What one may ask of an environment in that state, with its icon and what its button is called.
_POWER = {
    State.RUNNING: (
        ("restart", "refresh", gettext_lazy("Restart %(name)s")),
        ("stop", "player-stop", gettext_lazy("Stop %(name)s")),
    ),
    State.STOPPED: (("start", "player-play", gettext_lazy("Start %(name)s")),),
    State.FAILED: (("start", "player-play", gettext_lazy("Start %(name)s")),),
    State.PAUSED: (("resume", "player-play", gettext_lazy("Resume %(name)s")),),
}


@register.simple_tag
def power_buttons(state: State, name: str, url: str) -> SafeString:
    """Buttons of one row. They send the one form of the list, `power`, to the address below `url`."""
    return format_html_join(
        "",
        '<button class="icon-button tiny" form="power" formaction="{}power" name="action" value="{}"'
        ' title="{}">{}</button>',
        (
            (url, action, title % {"name": name}, icon(symbol))
            for action, symbol, title in _POWER.get(state, ())
        ),
    )

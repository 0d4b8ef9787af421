"""Panels, lists and forms of pages: the same pieces on each, drawn by one template of `templates/ui/`."""

from collections.abc import Mapping
from typing import Any

from django import template
from django.urls import reverse

register = template.Library()


@register.simple_block_tag(takes_context=True)
def form_panel(context: template.Context, content: str, title: str, **more: Any) -> str:
    """A panel whose fields are one form: heading, what was wrong, the fields within the tag, its button.

    `form`: the page's own, or the one that is named. `button`: its label; `css`: of that button. `note`: small
    words beside the heading. `action`: where it goes; none: to this page. `id` and `tone` are the panel's.
    `confirm`: asked before it is sent, below `confirm_title`. `may=False` shows what the form holds, of the
    fields named in `only` if there are any. `folds`: it is closed unless `is_open`. `described`: the id of what
    says more of the button.
    """
    return _drawn_within(context, "ui/_form_panel.html", {"content": content, "title": title, **more})


@register.simple_block_tag(takes_context=True)
def form_part(context: template.Context, content: str, **more: Any) -> str:
    """The form of such a panel without its heading: below a table, say."""
    return _drawn_within(context, "ui/_form_part.html", {"content": content, **more})


@register.simple_block_tag(takes_context=True)
def form_menu(context: template.Context, content: str, title: str, **more: Any) -> str:
    """A button that opens a small form: the fields within the tag, and its own button.

    `form`: whose faults stand above the fields where `is_open`, which a refused one is. `action`: where it
    goes. `sign`: an icon before the title. `css`: of the button within.
    """
    return _drawn_within(context, "ui/_form_menu.html", {"content": content, "title": title, **more})


@register.simple_block_tag(takes_context=True)
def filters(context: template.Context, content: str, route: str, part: str, *, role: str = "") -> str:
    """What a list is looked through by: a change asks for that part of its page anew; without a script,
    a button asks for all of it."""
    values = {"content": content, "url": reverse(route), "part": part, "role": role}
    with context.push(**values):
        return context.template.engine.get_template("ui/_filters.html").render(context)  # type: ignore[union-attr]


_PARTS: dict[str, Any] = {
    "button": "", "css": "", "note": "", "action": "", "id": "", "tone": "", "confirm": "", "confirm_title": "",
    "may": True, "only": "", "described": "", "sign": "", "is_open": False, "folds": False,
}  # fmt: skip


def _drawn_within(context: template.Context, name: str, values: Mapping[str, Any]) -> str:
    """`TypeError` for a word that the piece doesn't know."""
    if unknown := set(values) - set(_PARTS) - {"content", "title", "form"}:
        raise TypeError(f"{name} knows no {min(unknown)}")
    engine = context.template.engine  # type: ignore[union-attr]
    with context.push(**{**_PARTS, **values}):
        return engine.get_template(name).render(context)


@register.inclusion_tag("ui/_post_button.html", takes_context=True)
def post_button(context: Mapping[str, Any], route: str, *ids: Any, label: str, **more: str) -> dict[str, Any]:
    """A form that is one button, to the address of that name. `css`: of the button; `sign`: an icon before its
    words; `confirm`: asked before it is sent, below `title`."""
    del context  # its CSRF token comes along
    return {"url": reverse(route, args=ids), "label": label, **more}


@register.inclusion_tag("ui/_post_sign.html", takes_context=True)
def post_sign(
    context: Mapping[str, Any], route: str, *ids: Any, title: str, confirm: str, sign: str = "trash"
) -> dict[str, Any]:
    """As `post_button`, of an icon alone: `title` names it."""
    del context  # its CSRF token comes along
    return {"url": reverse(route, args=ids), "sign": sign, "title": title, "confirm": confirm}


@register.inclusion_tag("ui/_empty.html")
def empty_state(sign: str, title: str, text: str) -> dict[str, str]:
    """What stands where a list has nothing: what this is, and what would fill it."""
    return {"sign": sign, "title": title, "text": text}


@register.inclusion_tag("ui/_table_head.html")
def table_head(*columns: str, numbers: str = "", actions: bool = False) -> dict[str, Any]:
    """Headings of a table. `numbers`: which columns hold numbers, from 1; `actions`: a last one for buttons."""
    of_numbers = set(numbers.split())
    named = [(text, str(place) in of_numbers) for place, text in enumerate(columns, 1)]
    return {"columns": named, "actions": actions}

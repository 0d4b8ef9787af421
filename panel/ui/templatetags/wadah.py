"""Small pieces of pages: icons, times, sizes, bars, states, fields. Each escapes what it is given."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from django import template
from django.forms import BooleanField, BoundField, ChoiceField, Form
from django.http import QueryDict
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import get_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from panel import codes
from panel.states import Shown

register = template.Library()

_KIB = 1024
#: Share of a limit from which a bar warns, and from which it is alarmed.
_WARN, _ALARM = 0.80, 0.95


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """From the sprite of vendor.py; hidden from screen readers, so it never stands alone."""
    return _drawn(name, f"icon {css}" if css else "icon")


@cache
def _drawn(name: str, css: str) -> SafeString:
    """The same few stand hundreds of times on a page, and a file's hashed name takes a while to find."""
    sprite = static("vendor/icons/sprite.svg")
    return format_html('<svg class="{}" aria-hidden="true"><use href="{}#i-{}"/></svg>', css, sprite, name)


@register.simple_tag
def state_dot(state: Shown, css: str = "") -> SafeString:
    """A dot with its word, as the state's own enum has them."""
    css = f"state {state.tone} {css}" if css else f"state {state.tone}"
    return format_html('<span class="{}">{}</span>', css, state.label)


@register.simple_tag
def ago(moment: datetime | None, *, empty: str = "–") -> SafeString | str:
    """How long ago (or until), the exact time on hover; the page keeps it right."""
    if moment is None:
        return empty
    return format_html(
        '<time datetime="{}" title="{}" data-ago class="nowrap">{}</time>',
        moment.isoformat(),
        exactly(moment),
        spoken(moment, timezone.now()),
    )


@register.filter
def exactly(moment: datetime | str) -> str:
    """To the second, by the reader's clock and with its zone's own name. A text is one of the API's."""
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return timezone.localtime(at).strftime("%Y-%m-%d %H:%M:%S %Z")


def spoken(moment: datetime, now: datetime) -> str:
    seconds = (now - moment).total_seconds()
    amount, future = abs(seconds), seconds < -1
    if amount < 5:
        return _("now")
    if amount >= 86_400:
        text = _counted(ngettext("%(n)d day", "%(n)d days", int(amount // 86_400)), amount // 86_400)
    elif amount >= 3_600:
        text = _counted(ngettext("%(n)d hour", "%(n)d hours", int(amount // 3_600)), amount // 3_600)
    elif amount >= 60:
        text = _counted(ngettext("%(n)d minute", "%(n)d minutes", int(amount // 60)), amount // 60)
    else:
        text = _counted(ngettext("%(n)d second", "%(n)d seconds", int(amount)), amount)
    return _("in %(span)s") % {"span": text} if future else _("%(span)s ago") % {"span": text}


def _counted(text: str, amount: float) -> str:
    return text % {"n": int(amount)}


@register.filter
def bytes_text(value: float | str | None) -> str:
    """Binary units, three digits: 1.5 GiB. Templates give "" for what isn't known yet."""
    if value is None or value == "":
        return "–"
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(amount) < _KIB:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{_trim(amount)} {unit}"
        amount /= _KIB
    return f"{_trim(amount)} TiB"


@register.filter
def mib_text(value: float | None) -> str:
    return "–" if value is None else bytes_text(mib(value))


@register.filter
def bit_s_text(value: float | None) -> str:
    """Decimal units, as networks are sold."""
    amount = float(value or 0)
    for unit in ("bit/s", "kbit/s", "Mbit/s"):
        if amount < 1000:
            return f"{_trim(amount)} {unit}"
        amount /= 1000
    return f"{_trim(amount)} Gbit/s"


def _trim(amount: float) -> str:
    return spelled(f"{amount:.1f}".removesuffix(".0") if amount < 100 else f"{amount:.0f}")


def spelled(number_text: str) -> str:
    """With the decimal sign of the reader's language."""
    return number_text.replace(".", str(get_format("DECIMAL_SEPARATOR")))


@register.filter
def number(value: float | None) -> str:
    """Up to two decimals, no trailing zeros."""
    return "–" if value is None else spelled(f"{float(value):.2f}".rstrip("0").rstrip("."))


@register.filter
def number_or_empty(value: float | None) -> str:
    """As a number field wants it: a point, and nothing where there is none."""
    return "" if value is None else f"{float(value):g}"


@register.filter
def took(ms: float | None) -> str:
    if ms is None:
        return ""
    if ms < 10:
        return spelled(f"{ms:.1f} ms")
    return f"{ms:.0f} ms" if ms < 1000 else span(ms / 1000)


@register.filter
def span(seconds: float | None) -> str:
    """A length of time: 3.4 s, 2 min 5 s, 3 h 20 min, 4 d 2 h."""
    if seconds is None:
        return ""
    whole = int(seconds)
    if seconds < 60:
        return spelled(f"{seconds:.1f} s")
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


@register.filter
def since(moment: datetime | None) -> str:
    return "" if moment is None else span(max((timezone.now() - moment).total_seconds(), 0))


@register.simple_tag
def bar(
    used: float | None,
    limit: float | None,
    *,
    label: str = "",
    reserved: float | None = None,
    figures: str = "",
    level: float | None = None,
) -> SafeString:
    """Used within reserved within the limit, with `figures` above; without a limit these alone.

    `level` (0 to 1) decides the colour where what is drawn doesn't: promises without a bound are no alarm.
    """
    head = format_html('<div class="figures">{}</div>', figures) if figures or not limit else ""
    drawn = rects(used, limit, label, reserved, level) if limit else ""
    return format_html('<div class="meter">{}{}</div>', head, drawn)


def rects(
    used: float | None, limit: float, label: str, reserved: float | None = None, level: float | None = None
) -> SafeString:
    """Drawn as SVG attributes: the CSP allows no inline width."""
    share = min((used or 0) / limit, 1)
    kept = min((reserved or 0) / limit, 1)
    if level is None:
        level = max(share, kept)
    tone = "bad" if level >= _ALARM else "warn" if level >= _WARN else ""
    word = {"bad": _("nearly used up"), "warn": _("filling up"), "": ""}[tone]
    behind = format_html('<rect class="reserved" width="{}%"/>', f"{kept * 100:.4g}") if reserved else ""
    return format_html(
        '<svg class="bar{}" role="img"><title>{}</title>{}<rect class="used" width="{}%"/></svg>',
        f" {tone}" if tone else "",
        f"{label}: {share * 100:.0f} % {word}".strip(),
        behind,
        f"{share * 100:.4g}",
    )


def mib(value: float) -> float:
    return value * _KIB * _KIB


@register.simple_tag
def copy(text: Any, label: str = "") -> SafeString:
    return format_html(
        '<button type="button" class="icon-button tiny" data-copy="{}" title="{}">{}</button>',
        text,
        _("Copy %(label)s") % {"label": label or text},
        icon("copy"),
    )


@register.inclusion_tag("ui/_field.html")
def field(bound: BoundField, *, mono: bool = False, suffix: str = "") -> dict[str, Any]:
    """Label, input, hint and error, tied together for screen readers."""
    described = [f"{bound.id_for_label}_hint"] if bound.help_text else []
    if bound.errors:
        described.append(f"{bound.id_for_label}_error")
    kind = getattr(bound.field.widget, "input_type", "") or type(bound.field.widget).__name__.lower()
    css = {"checkbox": "form-check-input", "select": "form-select"}.get(kind, "form-control")
    is_mono = mono or getattr(bound.field, "is_mono", False)
    attributes: dict[str, Any] = {
        "class": css + (" mono" if is_mono else "") + (" is-invalid" if bound.errors else "")
    }
    if described:
        attributes["aria-describedby"] = " ".join(described)
    if bound.errors:
        attributes["aria-invalid"] = "true"
    return {"bound": bound, "widget": bound.as_widget(attrs=attributes), "kind": kind, "suffix": suffix}


@register.filter
def values(form: Form, only: str = "") -> list[tuple[str, str]]:
    """What a form holds, for who may not change it: labels and texts. `only`: names of fields, with spaces
    between."""
    chosen = only.split() or list(form.fields)
    return [(str(form[name].label), _as_text(form[name])) for name in chosen]


def _as_text(bound: BoundField) -> str:
    held = bound.value()
    if isinstance(bound.field, BooleanField):
        return _("yes") if held else _("no")
    if isinstance(bound.field, ChoiceField):
        known = {str(key): str(label) for key, label in _flat(bound.field.choices)}
        each = held if isinstance(held, list | tuple) else [held]
        return ", ".join(known.get(str(one), str(one)) for one in each if one not in (None, ""))
    if isinstance(held, list | tuple):
        return ", ".join(str(one) for one in held)
    return "" if held is None else str(held)


def _flat(choices: Any) -> Iterator[tuple[Any, Any]]:
    """Without their groups."""
    for key, label in choices:
        if isinstance(label, list | tuple):
            yield from label
        else:
            yield key, label


@register.simple_tag(takes_context=True)
def query(context: Mapping[str, Any], **changes: Any) -> str:
    """The address's query with some values changed; None or "" takes one out."""
    values: QueryDict = context["request"].GET.copy()
    for key, value in changes.items():
        if value is None or value == "":
            values.pop(key, None)
        else:
            values[key] = str(value)
    return f"?{values.urlencode()}"


@register.simple_tag(takes_context=True)
def aria_sort(context: Mapping[str, Any], key: str) -> SafeString:
    """The attribute by which a heading says to a screen reader how its column is sorted; empty: by another."""
    order = {key: "ascending", f"-{key}": "descending"}.get(context.get("sort", ""))
    return format_html('aria-sort="{}"', order) if order else SafeString("")


@register.inclusion_tag("ui/_sort.html", takes_context=True)
def sort_header(context: Mapping[str, Any], key: str, label: str) -> dict[str, Any]:
    """A column's heading as a link that sorts by it, and turns round when it does so already."""
    current = context.get("sort", "")
    is_up, is_down = current == key, current == f"-{key}"
    return {
        "href": query(context, sort=f"-{key}" if is_up else key, page=None),
        "label": label,
        "is_up": is_up,
        "is_down": is_down,
    }


@register.filter
def get(mapping: Mapping[str, Any], key: str) -> Any:
    return mapping.get(key) if mapping else None


@register.filter
def words(value: str) -> str:
    return str(value).replace("_", " ").replace("-", " ")


@register.filter
def field_word(code: str) -> str:
    """What a field of records, plans and settings is called."""
    return codes.field(code)


@register.filter
def value_word(value: Any) -> str:
    """A value of such a field, of a part its fields: `confinement default, containers inside no`."""
    return codes.value(value)


@register.simple_tag
def mib_bar(used_bytes: float | None, limit_mib: float | None, label: str) -> SafeString:
    """Bytes in use of a limit in MiB."""
    return bar(used_bytes, mib(limit_mib or 0), label=label)


@register.filter
def split(text: str) -> list[str]:
    return text.split()

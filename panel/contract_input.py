"""Checking what people ask for against the contract: its errors become sentences that name the field."""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from panel.errors import Invalid
from panel.said import shown
from runtime.contract import Limits
from runtime.contract.said import Said

M = TypeVar("M", bound=BaseModel)
_PATH_IN_MESSAGE = 3


def parse(model: type[M], values: Mapping[str, Any], prefix: str = "") -> M:
    """`model` from `values`, or `Invalid` about the first bad field."""
    try:
        # by way of JSON, in which strict means: text for an address, but no text for a number
        return model.model_validate_json(to_json(values, inf_nan_mode="constants"), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part)[:200] for part in first["loc"][:_PATH_IN_MESSAGE]) or prefix
        field = f"{prefix}.{name}" if prefix and name != prefix else name
        raise Invalid(f"{name}: {_what(first)}.", field=field) from error


#: What would be accepted, by Pydantic's name of the mistake, and which of its values is the bound.
_ACCEPTED = {
    "missing": (gettext_noop("it is needed"), ""),
    "extra_forbidden": (gettext_noop("there is no such field"), ""),
    "greater_than_equal": (gettext_noop("at least %(n)s"), "ge"),
    "greater_than": (gettext_noop("more than %(n)s"), "gt"),
    "less_than_equal": (gettext_noop("at most %(n)s"), "le"),
    "less_than": (gettext_noop("less than %(n)s"), "lt"),
    "too_long": (gettext_noop("at most %(n)s of them"), "max_length"),
    "too_short": (gettext_noop("at least %(n)s of them"), "min_length"),
    "string_too_long": (gettext_noop("at most %(n)s characters"), "max_length"),
    "string_too_short": (gettext_noop("at least %(n)s characters"), "min_length"),
    "string_pattern_mismatch": (gettext_noop("of the form %(n)s"), "pattern"),
    "string_type": (gettext_noop("a text"), ""),
    "union_tag_invalid": (gettext_noop("one of %(n)s"), "expected_tags"),
    **dict.fromkeys(("enum", "literal_error"), (gettext_noop("one of %(n)s"), "expected")),
    **dict.fromkeys(("list_type", "tuple_type", "set_type"), (gettext_noop("a list"), "")),
    **dict.fromkeys(
        ("dict_type", "model_type", "model_attributes_type", "mapping_type"), (gettext_noop("an object"), "")
    ),
    **dict.fromkeys(("ip_any_address", "ip_v4_address", "ip_v6_address"), (gettext_noop("an address"), "")),
    **dict.fromkeys(("uuid_parsing", "uuid_type"), (gettext_noop("an id"), "")),
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), (gettext_noop("a whole number"), "")),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), (gettext_noop("a number"), "")),
    **dict.fromkeys(("bool_parsing", "bool_type"), (gettext_noop("true or false"), "")),
}


def _what(error: ErrorDetails) -> str:
    """In the reader's language: the contract's own sentence, or what is taken."""
    if (said := said_in(error)) is not None:
        return shown(said)
    accepted, bound = _ACCEPTED.get(error["type"], ("", ""))
    if accepted:
        of = error.get("ctx", {}).get(bound)
        return _(accepted) % {"n": of.replace(" or ", ", ") if isinstance(of, str) else of}
    return _("it isn't of the form that is taken")


def said_in(error: ErrorDetails) -> Said | None:
    """The sentence of a check of the contract's own; None: it is one of Pydantic's."""
    cause = error.get("ctx", {}).get("error")
    said = cause.args[0] if isinstance(cause, ValueError) and cause.args else None
    return said if isinstance(said, Said) else None


def parse_limits(values: Mapping[str, Any]) -> Limits:
    if "inodes" in values:
        raise Invalid(
            _(
                "inodes: btrfs counts none. Many small files are held by disk_mb, since what "
                "the file system writes about them counts for it too."
            ),
            field="limits.inodes",
        )
    return parse(Limits, values, "limits")

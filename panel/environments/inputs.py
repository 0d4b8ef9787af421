"""Checking what people ask for: contract errors become sentences that name the field."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from panel.errors import Invalid
from panel.images.models import IMAGE_NAME_PATTERN
from runtime.contract import Device, Kernel, Kind, Limits, RestartPolicy, SecurityProfile
from runtime.contract.base import NAME

M = TypeVar("M", bound=BaseModel)

__all__ = ["IMAGE_NAME_PATTERN"]

#: What the panel lets tenants set of a spec's network.
NETWORK_OPTIONS = frozenset({"nameservers", "allow_private", "allow_smtp"})
_PATH_IN_MESSAGE = 3


def check_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise Invalid(
            _("A name has 1 to 63 lower-case letters, digits and hyphens, and no hyphen at either end."),
            field="name",
        )
    return name


def check_kind(kind: str) -> Kind:
    if kind not in set(Kind):
        raise Invalid(
            _("The kind is one of %(kind)s, not %(kind_2)s.") % {"kind": ", ".join(Kind), "kind_2": kind[:40]},
            field="kind",
        )
    return Kind(kind)


def check_kernel(kernel: str) -> Kernel:
    if kernel not in set(Kernel):
        raise Invalid(
            _("The kernel is one of %(kernel)s, not %(kernel_2)s.")
            % {"kernel": ", ".join(Kernel), "kernel_2": kernel[:40]},
            field="kernel",
        )
    return Kernel(kernel)


def parse(model: type[M], values: Mapping[str, Any], prefix: str = "") -> M:
    """`model` from `values`, or `Invalid` about the first bad field."""
    try:
        # by way of JSON, in which strict means: text for an address, but no text for a number
        return model.model_validate_json(to_json(values, inf_nan_mode="constants"), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"][:_PATH_IN_MESSAGE]) or prefix
        field = f"{prefix}.{name}" if prefix and name != prefix else name
        raise Invalid(f"{name}: {_what(first)}.", field=field) from error


#: What would be accepted, by Pydantic's name of the mistake, and which of its values is the bound.
_ACCEPTED = {
    "missing": (gettext_noop("it is needed"), ""),
    "extra_forbidden": (gettext_noop("there is no such field"), ""),
    "greater_than_equal": (gettext_noop("at least %(n)s"), "ge"),
    "greater_than": (gettext_noop("more than %(n)s"), "gt"),
    "less_than_equal": (gettext_noop("at most %(n)s"), "le"),
    "too_long": (gettext_noop("at most %(n)s of them"), "max_length"),
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), (gettext_noop("a whole number"), "")),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), (gettext_noop("a number"), "")),
    **dict.fromkeys(("bool_parsing", "bool_type"), (gettext_noop("true or false"), "")),
}


def _what(error: ErrorDetails) -> str:
    """In the reader's language; Pydantic's own words for what is seldom."""
    accepted, bound = _ACCEPTED.get(error["type"], ("", ""))
    if accepted:
        return _(accepted) % {"n": error.get("ctx", {}).get(bound)}
    text = error["msg"]
    return text[:1].lower() + text[1:]


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


def parse_security(values: Mapping[str, Any]) -> SecurityProfile:
    return parse(SecurityProfile, values, "security")


def parse_devices(values: Sequence[str]) -> list[str]:
    """Each once, in the order of the contract."""
    unknown = sorted(set(values) - set(Device))
    if unknown:
        raise Invalid(
            _("devices: %(unknown)s can't be given; one can give %(known)s.")
            % {"unknown": unknown[0][:64], "known": ", ".join(Device)},
            field="devices",
        )
    return [one.value for one in Device if one in values]


def parse_restart(values: Mapping[str, Any]) -> RestartPolicy:
    return parse(RestartPolicy, values, "restart")


def check_network_options(values: Mapping[str, Any]) -> dict[str, Any]:
    from runtime.contract import Network  # noqa: PLC0415

    unknown = set(values) - NETWORK_OPTIONS
    if unknown:
        known = ", ".join(sorted(NETWORK_OPTIONS))
        raise Invalid(
            _("network.%(unknown)s is not an option; known are %(known)s.")
            % {"unknown": min(unknown), "known": known},
            field="network",
        )
    parsed = parse(Network, values, "network").model_dump(mode="json", include=set(NETWORK_OPTIONS))
    return {key: parsed[key] for key in values}

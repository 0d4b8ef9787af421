"""Checking what people ask for: contract errors become sentences that name the field."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from panel.errors import Invalid
from panel.images.models import IMAGE_NAME_PATTERN
from runtime.contract import Kernel, Kind, Limits, RestartPolicy, SecurityProfile
from runtime.contract.base import NAME

M = TypeVar("M", bound=BaseModel)

__all__ = ["IMAGE_NAME_PATTERN"]

#: What the panel lets tenants set of a spec's network.
NETWORK_OPTIONS = frozenset({"nameservers", "allow_private", "allow_smtp"})
_PATH_IN_MESSAGE = 3


def check_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise Invalid(
            "A name has 1 to 63 lower-case letters, digits and hyphens, and no hyphen at either end.",
            field="name",
        )
    return name


def check_kind(kind: str) -> Kind:
    if kind not in set(Kind):
        raise Invalid(f"The kind is one of {', '.join(Kind)}, not {kind[:40]}.", field="kind")
    return Kind(kind)


def check_kernel(kernel: str) -> Kernel:
    if kernel not in set(Kernel):
        raise Invalid(f"The kernel is one of {', '.join(Kernel)}, not {kernel[:40]}.", field="kernel")
    return Kernel(kernel)


def parse(model: type[M], values: Mapping[str, Any], prefix: str = "") -> M:
    """`model` from `values`, or `Invalid` about the first bad field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"][:_PATH_IN_MESSAGE]) or prefix
        field = f"{prefix}.{name}" if prefix and name != prefix else name
        what = first["msg"][:1].lower() + first["msg"][1:]
        raise Invalid(f"{name}: {what}.", field=field) from error


def parse_limits(values: Mapping[str, Any]) -> Limits:
    if "inodes" in values:
        raise Invalid(
            "inodes: btrfs counts none. Many small files are held by disk_mb, since what the file system "
            "writes about them counts for it too.",
            field="limits.inodes",
        )
    return parse(Limits, values, "limits")


def parse_security(values: Mapping[str, Any]) -> SecurityProfile:
    return parse(SecurityProfile, values, "security")


def parse_restart(values: Mapping[str, Any]) -> RestartPolicy:
    return parse(RestartPolicy, values, "restart")


def check_network_options(values: Mapping[str, Any]) -> dict[str, Any]:
    from runtime.contract import Network  # noqa: PLC0415

    unknown = set(values) - NETWORK_OPTIONS
    if unknown:
        known = ", ".join(sorted(NETWORK_OPTIONS))
        raise Invalid(f"network.{min(unknown)} is not an option; known are {known}.", field="network")
    parsed = parse(Network, values, "network").model_dump(mode="json", include=set(NETWORK_OPTIONS))
    return {key: parsed[key] for key in values}

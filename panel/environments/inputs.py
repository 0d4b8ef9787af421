"""Checking what people ask for: contract errors become sentences that name the field."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from django.utils.translation import gettext as _
from pydantic import BaseModel

from panel.contract_input import parse
from panel.errors import Invalid
from panel.images.models import IMAGE_NAME_PATTERN
from runtime.contract import Device, Kernel, Kind, RestartPolicy, SecurityProfile
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

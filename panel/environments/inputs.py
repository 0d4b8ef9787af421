"""Checking what people ask for: contract errors become sentences that name the field."""

from django.utils.translation import gettext as _

from panel.errors import Invalid
from runtime.contract import Kernel, Kind
from runtime.contract.base import NAME


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

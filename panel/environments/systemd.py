"""What is known before a start of an init that a kernel can't run."""

from django.utils.translation import gettext as _

from panel.environments.models import Environment
from panel.errors import Invalid
from panel.images.selectors import boots_systemd
from panel.said import shown
from runtime.contract import Kernel, Kind
from runtime.contract.words import kernels


def why_not(row: Environment, kernel: str) -> str:
    """Why what it would start can't run on this kernel; empty where it can, or where only its node can tell."""
    if kernel != Kernel.GUARDED or row.kind not in (Kind.SYSTEM, Kind.JAIL):
        return ""
    jail = row.wanted.jail
    if (jail is not None and jail.command is not None) or not boots_systemd(row.image):
        return ""
    return shown(kernels.no_systemd())


def refuse(row: Environment, kernel: str) -> None:
    """`Invalid` for an image that can't boot on this kernel."""
    if why := why_not(row, kernel):
        raise Invalid(
            f"{why[:1].upper()}{why[1:]}.",
            field="kernel",
            code="kernel_unavailable",
            next_step=_("Choose another kernel, or an image with another init."),
        )

"""What an app can't choose of its walls, by its class of confinement and its kernel."""

from django.utils.translation import gettext as _

from panel.environments.models import Environment
from panel.errors import Invalid
from runtime.contract import Kernel, SecurityClass
from runtime.contract.capabilities import STRICT_LACKS


def check(environment: Environment) -> None:
    """`Invalid` for a capability that its class lacks, and for settings of a kernel that isn't the host's."""
    app = environment.wanted.app
    if app is None:
        return
    if app.sysctls and environment.kernel != Kernel.SHARED:
        raise Invalid(
            _("app.sysctls: they are set on the host's kernel only; this one has the kernel %(kernel)s.")
            % {"kernel": environment.kernel},
            field="app.sysctls",
        )
    lacking = [one for one in app.cap_add if f"CAP_{one}" in STRICT_LACKS]
    if lacking and environment.wanted.security.confinement is SecurityClass.STRICT:
        raise Invalid(
            _("app.cap_add: the strict class of confinement has no %(names)s.") % {"names": ", ".join(lacking)},
            field="app.cap_add",
            next_step=_("Leave it out, or choose the default class."),
        )

"""Every change of an environment: one function each, one transaction each, called by pages and API alike."""

from panel.environments.services.change import update_environment
from panel.environments.services.create import create_environment
from panel.environments.services.delete import delete_environment, end_trashed, undelete_environment
from panel.environments.services.inside import execute, reinstall, set_credentials
from panel.environments.services.intent import Changed, advance, locked, resend, restore_intent
from panel.environments.services.operations import cancel_operation, retry_operation
from panel.environments.services.power import POWER, leave_rescue, pause, rescue, restart, resume, start, stop
from panel.environments.services.preview import Preview, preview_change
from panel.environments.services.tags import tag_environment

__all__ = [
    "POWER",
    "Changed",
    "Preview",
    "advance",
    "cancel_operation",
    "create_environment",
    "delete_environment",
    "end_trashed",
    "execute",
    "leave_rescue",
    "locked",
    "pause",
    "preview_change",
    "reinstall",
    "rescue",
    "resend",
    "restart",
    "restore_intent",
    "resume",
    "retry_operation",
    "set_credentials",
    "start",
    "stop",
    "tag_environment",
    "undelete_environment",
    "update_environment",
]

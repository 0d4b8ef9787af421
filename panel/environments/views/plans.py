"""Another plan for an environment: which there are, and what one would change."""

from collections.abc import Callable
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from panel import codes
from panel.environments.models import Environment
from panel.environments.services import Preview, preview_change
from panel.plans.selectors import offered_to
from panel.plans.terms import Opening
from panel.quotas.labels import resource_label
from panel.rights.permissions import Permission
from panel.ui.templatetags.wadah import bit_s_text, bytes_text, mib_text, number
from panel.ui.web import PageRequest


def _words(value: Any) -> str:
    return ", ".join(str(one) for one in value) or _("none")


def _in_words(value: Any) -> str:
    return ", ".join(codes.value(one) for one in value)


def _opens(value: Any) -> str:
    return ", ".join(str(Opening(one).label) for one in value) or _("none")


def _per_second(value: Any) -> str:
    return f"{bytes_text(value)}/s"


def _gigabytes(value: Any) -> str:
    return f"{number(value)} GB"


_ACTIONS = {"slow": gettext_lazy("slow down"), "suspend": gettext_lazy("suspend")}

#: Of each place of a preview what it is called and how its value is said, in the order in which they are shown.
_SHOWN: dict[str, tuple[Promise | str, Callable[[Any], str]]] = {
    "limits.cpu": (gettext_lazy("vCPU"), number),
    "limits.cpu_weight": (gettext_lazy("vCPU weight (100 is the norm)"), number),
    "limits.memory_mb": (gettext_lazy("Memory"), mib_text),
    "limits.swap_mb": (gettext_lazy("Swap"), mib_text),
    "limits.disk_mb": (gettext_lazy("Disk"), mib_text),
    "limits.processes": (gettext_lazy("Processes"), number),
    "limits.disk_read_bytes_s": (gettext_lazy("Disk read"), _per_second),
    "limits.disk_write_bytes_s": (gettext_lazy("Disk write"), _per_second),
    "limits.disk_read_iops": (gettext_lazy("Disk reads/s"), number),
    "limits.disk_write_iops": (gettext_lazy("Disk writes/s"), number),
    "limits.network_in_bit_s": (gettext_lazy("Network in"), bit_s_text),
    "limits.network_out_bit_s": (gettext_lazy("Network out"), bit_s_text),
    "allowances.traffic_gb": (gettext_lazy("Traffic a month"), _gigabytes),
    "allowances.traffic_action": (gettext_lazy("When it is used up"), lambda value: str(_ACTIONS[value])),
    "allowances.traffic_slow_bit_s": (gettext_lazy("Slowed down to"), bit_s_text),
    "allowances.addresses": (gettext_lazy("IPv4 addresses"), number),
    "allowances.forwards": (gettext_lazy("Port forwards"), number),
    "allowances.snapshots": (gettext_lazy("Snapshots"), number),
    "allowances.backups": (gettext_lazy("Backups"), number),
    "allowances.trash_days": (gettext_lazy("Days in the trash"), number),
    "choices.images": (gettext_lazy("Images"), _words),
    "choices.kernels": (gettext_lazy("Kernels"), _in_words),
    "choices.kinds": (gettext_lazy("Kinds"), _in_words),
    "choices.devices": (gettext_lazy("Devices"), _words),
    "choices.opens": (gettext_lazy("May be switched on by the tenant"), _opens),
    "choices.host_devices": (gettext_lazy("Devices of hosts"), _words),
}
#: Of these the plan says which; null says that all are meant.
_ALL_WHERE_NONE = ("choices.images", "choices.kernels", "choices.kinds")


def plan_context(request: PageRequest, row: Environment, asked: str) -> dict[str, Any]:
    """For the settings: the plans that there are, and what the one that is `asked` for would change."""
    if not request.actor.can(Permission.ENVIRONMENT_RESIZE, row):
        return {}
    own = row.plan_version
    plans = [
        {
            "slug": plan.slug,
            "name": plan.name,
            "description": plan.description,
            "limits": version.limits,
            "is_own": own is not None and own.plan_id == plan.pk,
            "is_so": own is not None and own.pk == version.pk and row.follows_plan,
        }
        for plan, version in offered_to(request.actor, row.tenant)
    ]
    chosen = next((plan for plan in plans if plan["slug"] == asked and not plan["is_so"]), None)
    found: dict[str, Any] = {"plans": plans, "chosen_plan": chosen}
    if chosen is not None:
        found["plan_preview"] = shown(preview_change(request.actor, row.pk, {"plan": asked}))
    return found


def shown(preview: Preview) -> dict[str, Any]:
    """What a page says of a preview."""
    return {
        "refusal": preview.refusal,
        "rows": [
            {"what": what, "now": _said(place, now, say), "then": _said(place, then, say)}
            for place, (what, say) in _SHOWN.items()
            for now, then in [preview.changes.get(place, (None, None))]
            if place in preview.changes
        ],
        "waits": preview.at_start,
        "room": [
            (resource_label(resource), mib_text(left) if resource.endswith("_mb") else number(left))
            for resource, left in preview.room.items()
            if left is not None and f"limits.{resource}" in _SHOWN
        ],
    }


def _said(place: str, value: Any, say: Callable[[Any], str]) -> str:
    if value is None:
        if place == "allowances.trash_days":
            return _("as the tenant has it")
        return _("all") if place in _ALL_WHERE_NONE else _("no limit")
    return say(value)

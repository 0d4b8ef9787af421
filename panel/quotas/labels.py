"""Resources in words, as headings have them (`Resource.label` stands within a sentence)."""

from django.utils.translation import gettext_lazy

_RESOURCES = {
    "environments": gettext_lazy("Environments"),
    "cpu": gettext_lazy("vCPU"),
    "memory_mb": gettext_lazy("Memory"),
    "disk_mb": gettext_lazy("Disk"),
    "addresses": gettext_lazy("IPv4 addresses"),
    "forwards": gettext_lazy("Port forwards"),
    "snapshots": gettext_lazy("Snapshots"),
    "swap_mb": gettext_lazy("Swap"),
    "processes": gettext_lazy("Processes"),
    "backups": gettext_lazy("Backups"),
}


def resource_label(resource: str) -> str:
    return str(_RESOURCES.get(resource, resource))

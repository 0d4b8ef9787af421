"""Words for codes: what pages call the fields and values that records, plans and settings keep.

The API has the codes. What has no word here is a name that somebody gave, or a number.
"""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

FIELDS: dict[str, Any] = {
    "cpu": "vCPU",
    "http": "HTTP",
    "tcp": "TCP",
    "action": _("action"),
    "addresses": _("addresses"),
    "allow": _("what its root may do"),
    "allow_private": _("private networks"),
    "allow_smtp": _("outgoing e-mail (port 25)"),
    "allowances": _("allowances"),
    "app": _("app"),
    "args": _("arguments"),
    "at": _("time"),
    "backups": _("backups"),
    "balance": _("balancing"),
    "base": _("base"),
    "because": _("because"),
    "boot": _("boot"),
    "boot_id": _("boot"),
    "by": _("by"),
    "bytes": _("bytes"),
    "children_max": _("children at most"),
    "choices": _("choices"),
    "command": _("command"),
    "compat32": _("32-bit programs"),
    "confinement": _("confinement"),
    "cpu_weight": _("vCPU weight"),
    "create": _("to be made"),
    "credentials_revision": _("version of the credentials"),
    "cron": _("schedule (cron)"),
    "daily": _("daily"),
    "delay_s": _("delay (s)"),
    "description": _("description"),
    "desired_state": _("wanted state"),
    "devices": _("devices"),
    "directory": _("directory"),
    "disable": _("switched off"),
    "disk_mb": _("disk (MiB)"),
    "disk_read_bytes_s": _("disk read (bytes/s)"),
    "disk_read_iops": _("disk reads/s"),
    "disk_write_bytes_s": _("disk write (bytes/s)"),
    "disk_write_iops": _("disk writes/s"),
    "drain_s": _("seconds to drain"),
    "ends_at": _("ends"),
    "env": _("variables"),
    "environments": _("environments"),
    "expires_at": _("ends"),
    "files": _("files"),
    "fingerprint": _("fingerprint"),
    "firewall": _("its own firewall"),
    "first_delay_s": _("first delay (s)"),
    "follows_plan": _("follows its plan"),
    "format": _("format"),
    "forwards": _("port forwards"),
    "health": _("health check"),
    "health_path": _("path of the health check"),
    "host": _("host"),
    "hosts": _("hosts"),
    "hourly": _("hourly"),
    "how": _("how"),
    "https": "HTTPS",
    "image": _("image"),
    "images": _("images"),
    "init": _("small init"),
    "inodes": _("files"),
    "insecure": _("without TLS"),
    "interval": _("interval"),
    "inward": _("port inside"),
    "is_administrator": _("administrator"),
    "is_on": _("switched on"),
    "jail": _("jail"),
    "kernel": _("kernel"),
    "kernels": _("kernels"),
    "kind": _("kind"),
    "kinds": _("kinds"),
    "last": _("last"),
    "limits": _("limits"),
    "line": _("line"),
    "max_delay_s": _("longest delay (s)"),
    "memory_mb": _("memory (MiB)"),
    "message": _("message"),
    "mode": _("mode"),
    "monthly": _("monthly"),
    "name": _("name"),
    "names": _("names"),
    "nameservers": _("name servers"),
    "needs_health": _("only if well"),
    "needs_yes": _("only by a person's yes"),
    "nesting": _("containers inside"),
    "network": _("network"),
    "network_in_bit_s": _("network in (bit/s)"),
    "network_out_bit_s": _("network out (bit/s)"),
    "networks": _("networks"),
    "nodes": _("nodes"),
    "only_https": _("HTTPS only"),
    "order": _("order"),
    "outward": _("port outside"),
    "parent": _("tenant above"),
    "path": _("path"),
    "permission": _("permission"),
    "permissions": _("permissions"),
    "person": _("person"),
    "plan": _("plan"),
    "port": _("port"),
    "ports": _("ports"),
    "processes": _("processes"),
    "profile": _("profile"),
    "programs": _("programs"),
    "protected": _("delete protection"),
    "protocol": _("protocol"),
    "proves": _("proves"),
    "public_address": _("public address"),
    "quota": _("quota"),
    "read_only": _("read-only"),
    "reason": _("reason"),
    "redirect_to": _("leads on to"),
    "remake": _("to be made anew"),
    "remove": _("to be removed"),
    "requires_mfa": _("second factor required"),
    "rescue": _("rescue system"),
    "restart": _("restart policy"),
    "retries": _("tries"),
    "role": _("role"),
    "secrets": _("secrets"),
    "security": _("confinement"),
    "service": _("service"),
    "shm_mb": _("shared memory (MiB)"),
    "snapshots": _("snapshots"),
    "ssh_keys": _("SSH keys"),
    "stack": _("stack"),
    "stage": _("stage"),
    "start_period": _("time to begin"),
    "state": _("state"),
    "stop_signal": _("stop signal"),
    "stop_timeout_s": _("time to stop (s)"),
    "support": _("support access"),
    "swap_mb": _("swap (MiB)"),
    "tags": _("tags"),
    "takes": _("takes"),
    "target": _("target"),
    "targets": _("targets"),
    "tenant": _("tenant"),
    "terminal": _("terminal"),
    "timeout": _("time limit"),
    "tmpfs": _("files in memory"),
    "traffic": _("traffic"),
    "traffic_action": _("when the traffic is used up"),
    "traffic_gb": _("traffic a month (GB)"),
    "traffic_slow_bit_s": _("slowed down to (bit/s)"),
    "tried": _("tried"),
    "tty": _("terminal"),
    "user": _("person"),
    "username": _("user name"),
    "users": _("users"),
    "version": _("version"),
    "volume_class": _("class"),
    "volumes": _("volumes"),
    "weekly": _("weekly"),
    "where": _("where"),
    "workdir": _("directory it begins in"),
    "logs": _("where its log goes"),
    "tag": _("program in its log"),
    "to": _("receiver"),
}
VALUES = {
    "active": _("active"),
    "administrator": _("administrator"),
    "always": _("always"),
    "app": _("app"),
    "backups": _("backups"),
    "billing": _("billing"),
    "custom": _("custom"),
    "default": _("default"),
    "deleted": _("deleted"),
    "directory": _("directory"),
    "disabled": _("disabled"),
    "draining": _("draining"),
    "guarded": _("guarded"),
    "invitation": _("invitation"),
    "jail": _("jail"),
    "never": _("never"),
    "none": _("nothing"),
    "off": _("off"),
    "offline": _("without a network"),
    "on-failure": _("when it failed"),
    "online": _("with its network"),
    "operator": _("operator"),
    "own": _("of its own"),
    "owner": _("owner"),
    "paused": _("paused"),
    "restart": _("restart"),
    "running": _("running"),
    "shared": _("shared"),
    "slow": _("slow down"),
    "snapshots": _("snapshots"),
    "stopped": _("stopped"),
    "strict": _("strict"),
    "suspend": _("suspend"),
    "suspended": _("suspended"),
    "system": _("system"),
    "trash": _("trash"),
    "trashed": _("in the trash"),
    "viewer": _("viewer"),
}
#: Fields whose value somebody gave: a tenant called `system` is called so in every language.
GIVEN = frozenset(
    "command description fingerprint host image name path person reason tags terminal tried username".split()
)


def name_fields(labels: Mapping[str, Any]) -> None:
    """Words of forms, for fields that have none here."""
    for code, label in labels.items():
        FIELDS.setdefault(code, label)


def field(code: str) -> str:
    """What a field is called; one without a word by its own name."""
    return str(FIELDS.get(code, code.replace("_", " ")))


def value(of: Any) -> str:
    """A value as a page says it, of a part its fields: `nesting no, confinement default`."""
    if isinstance(of, bool):
        return str(_("yes") if of else _("no"))
    if of is None:
        return "–"
    if isinstance(of, Mapping):
        return ", ".join(f"{field(name)} {value_of(name, one)}" for name, one in of.items())
    if isinstance(of, list | tuple | set | frozenset):
        return ", ".join(value(one) for one in of) or "–"
    return str(VALUES.get(str(of), of))


def value_of(code: str, of: Any) -> str:
    """The value of a field: as it is where somebody gave it, else in words."""
    if code not in GIVEN or of is None:
        return value(of)
    return ", ".join(map(str, of)) if isinstance(of, list | tuple) else str(of)

"""Permissions in words, in the groups that pages show them in."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from panel.rights.permissions import Permission

Label = str | Promise

GROUPS: list[tuple[Label, dict[Permission, Label]]] = [
    (
        _("Environments"),
        {
            Permission.ENVIRONMENT_VIEW: _("see them"),
            Permission.ENVIRONMENT_CREATE: _("create"),
            Permission.ENVIRONMENT_POWER: _("start and stop"),
            Permission.ENVIRONMENT_CONSOLE: _("consoles, which are root shells"),
            Permission.ENVIRONMENT_EXEC: _("run commands inside"),
            Permission.ENVIRONMENT_RESIZE: _("resize"),
            Permission.ENVIRONMENT_CHANGE: _("rename and change settings"),
            Permission.ENVIRONMENT_CREDENTIALS: _("passwords and SSH keys"),
            Permission.ENVIRONMENT_REINSTALL: _("reinstall"),
            Permission.ENVIRONMENT_DELETE: _("delete"),
            Permission.ENVIRONMENT_SHARE: _("share with people outside"),
            Permission.SNAPSHOT_MANAGE: _("snapshots"),
            Permission.BACKUP_MANAGE: _("backups"),
            Permission.VOLUME_MANAGE: _("volumes"),
            Permission.DOMAIN_MANAGE: _("domains"),
            Permission.STAGE_MANAGE: _("stages: promote and roll back"),
            Permission.FORWARD_CHANGE: _("port forwards"),
            Permission.NETWORK_CHANGE: _("network options"),
            Permission.OPERATION_VIEW: _("see operations"),
            Permission.OPERATION_CONTROL: _("retry and cancel operations"),
        },
    ),
    (
        _("Tenant"),
        {
            Permission.TENANT_VIEW: _("see it"),
            Permission.USAGE_VIEW: _("see quota and use"),
            Permission.TENANT_CHANGE: _("rename, ask for second factors"),
            Permission.TENANT_CREATE: _("create tenants below it"),
            Permission.TENANT_QUOTA: _("set quotas of tenants below it"),
            Permission.TENANT_SUSPEND: _("suspend tenants below it"),
            Permission.AUDIT_VIEW: _("read the audit record"),
        },
    ),
    (
        _("People and tokens"),
        {
            Permission.MEMBER_VIEW: _("see people"),
            Permission.MEMBER_MANAGE: _("invite, change and remove people"),
            Permission.TOKEN_VIEW: _("see API tokens"),
            Permission.TOKEN_MANAGE: _("make and revoke API tokens"),
        },
    ),
]


def choices(known: frozenset[Permission]) -> list[tuple[Label, list[tuple[str, Label]]]]:
    """For a form, in groups; only what is known to be givable."""
    found = [(title, [(str(p), label) for p, label in words.items() if p in known]) for title, words in GROUPS]
    return [(title, options) for title, options in found if options]


def words(permissions: list[str]) -> list[Label]:
    known = {str(permission): label for _title, group in GROUPS for permission, label in group.items()}
    return [known.get(permission, permission) for permission in permissions]

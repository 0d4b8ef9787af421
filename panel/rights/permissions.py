"""Names of what may be done, and which role may do it."""

from enum import StrEnum

from django.db import models
from django.utils.translation import gettext_lazy as _

#: In a token's list: everything that its user may do.
EVERYTHING = "*"


class RoleName(models.TextChoices):
    OWNER = "owner", _("owner")
    ADMINISTRATOR = "administrator", _("administrator")
    OPERATOR = "operator", _("operator")
    VIEWER = "viewer", _("viewer")
    BILLING = "billing", _("billing")
    CUSTOM = "custom", _("custom")


class Permission(StrEnum):
    ENVIRONMENT_VIEW = "environment.view"
    ENVIRONMENT_CREATE = "environment.create"
    ENVIRONMENT_POWER = "environment.power"
    ENVIRONMENT_CHANGE = "environment.change"
    ENVIRONMENT_RESIZE = "environment.resize"
    ENVIRONMENT_CREDENTIALS = "environment.credentials"
    ENVIRONMENT_REINSTALL = "environment.reinstall"
    ENVIRONMENT_DELETE = "environment.delete"
    ENVIRONMENT_CONSOLE = "environment.console"
    ENVIRONMENT_EXEC = "environment.exec"
    ENVIRONMENT_SHARE = "environment.share"
    """Let a person of another tenant use one environment."""
    FORWARD_CHANGE = "forward.change"
    NETWORK_CHANGE = "network.change"
    SNAPSHOT_MANAGE = "snapshot.manage"
    BACKUP_MANAGE = "backup.manage"
    VOLUME_MANAGE = "volume.manage"
    DOMAIN_MANAGE = "domain.manage"
    STAGE_MANAGE = "stage.manage"
    OPERATION_VIEW = "operation.view"
    OPERATION_CONTROL = "operation.control"
    TENANT_VIEW = "tenant.view"
    TENANT_CREATE = "tenant.create"
    TENANT_CHANGE = "tenant.change"
    TENANT_QUOTA = "tenant.quota"
    TENANT_SUSPEND = "tenant.suspend"
    MEMBER_VIEW = "member.view"
    MEMBER_MANAGE = "member.manage"
    TOKEN_VIEW = "token.view"  # noqa: S105 - a name, no secret
    TOKEN_MANAGE = "token.manage"  # noqa: S105
    USAGE_VIEW = "usage.view"
    AUDIT_VIEW = "audit.view"
    PLAN_MANAGE = "plan.manage"
    # of the whole installation
    IMAGE_MANAGE = "image.manage"
    NODE_VIEW = "node.view"
    NODE_MANAGE = "node.manage"
    USER_MANAGE = "user.manage"
    SECURITY_MANAGE = "security.manage"
    """Lift parts of an environment's confinement."""


#: Only administrators of the installation have these; no role of a tenant gives them.
PLATFORM = frozenset(
    {
        Permission.IMAGE_MANAGE,
        Permission.NODE_VIEW,
        Permission.NODE_MANAGE,
        Permission.USER_MANAGE,
        Permission.SECURITY_MANAGE,
        Permission.PLAN_MANAGE,
    }
)

_VIEWER = frozenset(
    {
        Permission.ENVIRONMENT_VIEW,
        Permission.OPERATION_VIEW,
        Permission.TENANT_VIEW,
        Permission.USAGE_VIEW,
    }
)
_OPERATOR = _VIEWER | {
    Permission.ENVIRONMENT_CREATE,
    Permission.ENVIRONMENT_POWER,
    Permission.ENVIRONMENT_CHANGE,
    Permission.ENVIRONMENT_RESIZE,
    Permission.ENVIRONMENT_CREDENTIALS,
    Permission.ENVIRONMENT_CONSOLE,
    Permission.ENVIRONMENT_EXEC,
    Permission.FORWARD_CHANGE,
    Permission.NETWORK_CHANGE,
    Permission.SNAPSHOT_MANAGE,
    Permission.BACKUP_MANAGE,
    Permission.VOLUME_MANAGE,
    Permission.DOMAIN_MANAGE,
    Permission.OPERATION_CONTROL,
    Permission.MEMBER_VIEW,
}
_ADMINISTRATOR = _OPERATOR | {
    Permission.STAGE_MANAGE,
    Permission.ENVIRONMENT_REINSTALL,
    Permission.ENVIRONMENT_DELETE,
    Permission.ENVIRONMENT_SHARE,
    Permission.TENANT_CHANGE,
    Permission.MEMBER_MANAGE,
    Permission.TOKEN_VIEW,
    Permission.TOKEN_MANAGE,
    Permission.AUDIT_VIEW,
}
_OWNER = _ADMINISTRATOR | {Permission.TENANT_CREATE}
_BILLING = frozenset({Permission.TENANT_VIEW, Permission.USAGE_VIEW, Permission.MEMBER_VIEW})

#: A tenant's own quota and its suspension are decided above it (see `tenants.services`), so that
#: TENANT_QUOTA and TENANT_SUSPEND count only from a membership in a tenant above the one changed.
FROM_ABOVE = frozenset({Permission.TENANT_QUOTA, Permission.TENANT_SUSPEND})

ROLES: dict[str, frozenset[Permission]] = {
    RoleName.OWNER: _OWNER | FROM_ABOVE,
    RoleName.ADMINISTRATOR: _ADMINISTRATOR,
    RoleName.OPERATOR: _OPERATOR,
    RoleName.VIEWER: _VIEWER,
    RoleName.BILLING: _BILLING,
}

#: What may be given away in a tenant's own roles and tokens.
GRANTABLE = frozenset(Permission) - PLATFORM

#: What can be given for a single environment, to a person (a share) or a token.
OF_ONE_ENVIRONMENT = frozenset(
    {
        Permission.ENVIRONMENT_VIEW,
        Permission.ENVIRONMENT_POWER,
        Permission.ENVIRONMENT_CHANGE,
        Permission.ENVIRONMENT_RESIZE,
        Permission.ENVIRONMENT_CREDENTIALS,
        Permission.ENVIRONMENT_REINSTALL,
        Permission.ENVIRONMENT_DELETE,
        Permission.ENVIRONMENT_CONSOLE,
        Permission.ENVIRONMENT_EXEC,
        Permission.FORWARD_CHANGE,
        Permission.NETWORK_CHANGE,
        Permission.SNAPSHOT_MANAGE,
        Permission.BACKUP_MANAGE,
        Permission.OPERATION_VIEW,
        Permission.OPERATION_CONTROL,
    }
)

#: What a support access gives: the tenant's own view and its switches, but no shell, no password, no token, no
#: person, and nothing that loses data.
SUPPORT = _VIEWER | {
    Permission.ENVIRONMENT_POWER,
    Permission.ENVIRONMENT_CHANGE,
    Permission.ENVIRONMENT_RESIZE,
    Permission.FORWARD_CHANGE,
    Permission.NETWORK_CHANGE,
    Permission.OPERATION_CONTROL,
    Permission.MEMBER_VIEW,
    Permission.AUDIT_VIEW,
}

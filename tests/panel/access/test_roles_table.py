"""Each role × each permission. `x`: may; `^`: only in tenants below the one he belongs to."""

import pytest

from panel.rights.permissions import PLATFORM, Permission
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

_ROLES = ("viewer", "billing", "operator", "administrator", "owner", "platform")
_TABLE = """
environment.view          x . x x x x
environment.create        . . x x x x
environment.power         . . x x x x
environment.change        . . x x x x
environment.resize        . . x x x x
environment.credentials   . . x x x x
environment.reinstall     . . . x x x
environment.delete        . . . x x x
environment.console       . . x x x x
environment.exec          . . x x x x
environment.share         . . . x x x
forward.change            . . x x x x
network.change            . . x x x x
snapshot.manage           . . x x x x
backup.manage             . . x x x x
volume.manage             . . x x x x
domain.manage             . . x x x x
stage.manage              . . . x x x
operation.view            x . x x x x
operation.control         . . x x x x
tenant.view               x x x x x x
tenant.create             . . . . x x
tenant.change             . . . x x x
tenant.quota              . . . . ^ x
tenant.suspend            . . . . ^ x
member.view               . x x x x x
member.manage             . . . x x x
token.view                . . . x x x
token.manage              . . . x x x
usage.view                x x x x x x
audit.view                . . . x x x
plan.manage               . . . . . x
image.manage              . . . . . x
node.view                 . . . . . x
node.manage               . . . . . x
user.manage               . . . . . x
security.manage           . . . . . x
"""
TABLE = {
    name: dict(zip(_ROLES, cells, strict=True)) for name, *cells in map(str.split, _TABLE.strip().splitlines())
}


def test_every_permission_is_in_the_table() -> None:
    assert set(TABLE) == set(Permission)
    assert all(set(TABLE[permission].values()) == {".", "x"} for permission in PLATFORM)


@pytest.mark.parametrize("role", _ROLES)
def test_each_role_may_what_the_table_says(role: str) -> None:
    own, stranger = factories.tenant(), factories.tenant()
    below = factories.tenant(parent=own)
    who = factories.administrator() if role == "platform" else factories.member(own, role)
    for permission in Permission:
        cell = TABLE[permission][role]
        assert who.can(permission, own) == (cell == "x"), permission
        assert who.can(permission, below) == (cell in "x^"), f"{permission} below"
        assert who.can(permission, stranger) == (role == "platform"), f"{permission} elsewhere"
        assert who.can(permission) == (role == "platform"), f"{permission} for the whole installation"

"""Words for a kernel of its own: those that stay within it, at its next start, and none on another kernel."""

from typing import Any

import pytest

from panel.environments import services
from panel.environments.models import Environment
from panel.environments.specs import spec_of
from panel.errors import Invalid
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from runtime.contract import Kernel, Kind
from runtime.contract.node import Cell
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
_LIMITS = {"cpu": 1, "memory_mb": 256, "disk_mb": 256}


@pytest.fixture
def tenant() -> Tenant:
    matrix = tuple(Cell(kind=Kind.SYSTEM, kernel=kernel) for kernel in (Kernel.SHARED, Kernel.OWN))
    factories.node(kernels=(Kernel.SHARED, Kernel.OWN), matrix=matrix)
    return factories.tenant()


@pytest.fixture
def owner(tenant: Tenant) -> Actor:
    return factories.member(tenant)


def made(tenant: Tenant, owner: Actor, **fields: Any) -> Environment:
    return factories.environment(tenant, owner, limits=_LIMITS, **fields)


def test_they_are_told_at_the_next_start(tenant: Tenant, owner: Actor) -> None:
    row = made(tenant, owner, kernel="own")
    boots = row.boots
    services.update_environment(owner, row.pk, {"boot_words": ["single", "loglevel=7", "single"]})
    row = Environment.objects.select_related("tenant", "node").get(pk=row.pk)
    assert spec_of(row).boot_words == ("single", "loglevel=7")
    assert row.boots == boots, "it isn't started anew for it"
    services.update_environment(owner, row.pk, {"boot_words": []})
    assert spec_of(Environment.objects.select_related("tenant", "node").get(pk=row.pk)).boot_words == ()


def test_another_kernel_hears_none(tenant: Tenant, owner: Actor) -> None:
    row = made(tenant, owner)
    with pytest.raises(Invalid, match="only a kernel of its own hears them"):
        services.update_environment(owner, row.pk, {"boot_words": ["single"]})
    with pytest.raises(Invalid, match="only a kernel of its own hears them"):
        made(tenant, owner, boot_words=["single"])
    assert made(tenant, owner, kernel="own", boot_words=["single"]).wanted.boot_words == ("single",)


@pytest.mark.parametrize(
    "word",
    [
        *("mem=4G", "root=/dev/ubda", "init=/bin/sh", "rootfstype=hostfs", "rootflags=/etc", "con0=xterm"),
        *(
            "vec0:transport=tap",
            "ubd0=/etc/passwd",
            "hostfs=/",
            "panic=1",
            "sysctl.kernel.panic=1",
            "sysctl.kernel/panic=1",
            "sysctl.kernel.//panic_on_oops=1",
            "debugtrace",
        ),
        *(
            "systemd.unit=a b.target",
            "systemd.unit=../x",
            "loglevel=8",
            "single x",
            "Single",
            "",
            "quiet\nmem=1",
        ),
        *("virtio_uml.device=/x:26", "gdb", "umid=x", "mconsole=notify:/x", "sysctl.a=b c", "TMPDIR=/"),
    ],
)
def test_what_reaches_beyond_it_is_refused_by_name(tenant: Tenant, owner: Actor, word: str) -> None:
    row = made(tenant, owner, kernel="own")
    with pytest.raises(Invalid) as refused:
        services.update_environment(owner, row.pk, {"boot_words": ["quiet", word]})
    assert refused.value.field.startswith("boot_words")
    row.refresh_from_db()
    assert row.wanted.boot_words == ()

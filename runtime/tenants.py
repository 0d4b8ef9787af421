"""What a tenant is held to on a node, for all of its environments at once: one file for each tenant, laid over
the spec of every environment of it.

So what concerns all of them is said once, and no spec has to be sent again for it.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from pydantic import ValidationError

from runtime.contract import DesiredState, Device, EnvironmentSpec, Suspension, TenantEnvelope
from runtime.files import exclusive, replace_file
from runtime.node import Node


def _file(node: Node, tenant_id: UUID) -> Path:
    return node.root / "tenants" / f"{tenant_id}.json"


def text_of(node: Node, tenant_id: UUID) -> bytes:
    """As it is kept; empty when nothing is."""
    try:
        return _file(node, tenant_id).read_bytes()
    except OSError:
        return b""


def read(text: bytes) -> TenantEnvelope | None:
    """None of what is damaged or empty: then each spec's own holds."""
    with suppress(ValidationError):
        return TenantEnvelope.model_validate_json(text)
    return None


def note(node: Node, tenant_id: UUID, envelope: TenantEnvelope) -> None:
    """Keeps it as what holds from now on; a no-op when a newer one is known. `OSError` on a full disk."""
    if read(text_of(node, tenant_id)) == envelope:
        return
    with exclusive(node, f"tenant.{tenant_id}"):
        known = read(text_of(node, tenant_id))
        if known is not None and known.revision > envelope.revision:
            return
        file = _file(node, tenant_id)
        file.parent.mkdir(mode=0o700, exist_ok=True)
        replace_file(file, envelope.model_dump_json())


def laid_over(spec: EnvironmentSpec, known: TenantEnvelope | None) -> EnvironmentSpec:
    """What is to be so of the environment while its tenant is held to that, or to what the spec says where that
    is newer. A suspended tenant's is stopped or frozen, whatever is wanted of it, and its network closed: a
    frozen environment's kernel would still answer."""
    envelope = known if known is not None and known.revision >= spec.envelope.revision else spec.envelope
    changes: dict[str, object] = {}
    if envelope != spec.envelope:
        changes["envelope"] = envelope
    if envelope.suspended is not None:
        changes["network"] = spec.network.model_copy(update={"closed": True})
        if spec.desired not in (DesiredState.DELETED, DesiredState.STOPPED):
            # who waits for an answer of its own file system can't be frozen, and its owner decides how long
            may_freeze = envelope.suspended is Suspension.FREEZE and Device.FUSE not in spec.devices
            changes["desired"] = DesiredState.PAUSED if may_freeze else DesiredState.STOPPED
    return spec.model_copy(update=changes) if changes else spec


def sweep(node: Node, living: Callable[[], set[UUID]]) -> None:
    """Forgets tenants that have no environment here any more. Who lives is asked again while nobody notes
    anything of one: whoever came meanwhile is known by then."""
    with suppress(FileNotFoundError):
        files = list((node.root / "tenants").iterdir())
        there = living() if files else set()
        for file in files:
            with suppress(ValueError):
                if UUID(file.stem) not in there:
                    _forget(node, file, living)


def _forget(node: Node, file: Path, living: Callable[[], set[UUID]]) -> None:
    """While nobody notes anything of it. Its lock goes as well, which nobody waits for who knows the tenant."""
    with exclusive(node, f"tenant.{file.stem}"):
        if UUID(file.stem) in living():
            return
        file.unlink(missing_ok=True)
        (node.run / "locks" / f"tenant.{file.stem}").unlink(missing_ok=True)

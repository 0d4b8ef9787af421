"""What is inside: the root from its image, the ways in, and single commands."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from panel.accounts.ssh_key_text import check_ssh_keys
from panel.audit.services import record
from panel.environments import credentials, placement, systemd
from panel.environments.answers import Executed
from panel.environments.features import FEATURES
from panel.environments.inputs import check_reference
from panel.environments.kinds import image_of
from panel.environments.models import Environment
from panel.environments.services.create import set_password
from panel.environments.services.intent import Changed, change
from panel.errors import Invalid
from panel.nodes.agent import Agent
from panel.operations.models import OperationKind
from panel.plans.rules import check_choices
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.serving.shares import EXECS, Place
from panel.tenants.selectors import refuse_suspended
from runtime.contract import NO_IMAGE, DesiredState, Kind, Rescue, wants_of


@dataclass(frozen=True)
class Running:
    """A command that was let in: what it will have said, and its place among those that run."""

    result: Callable[[], Awaitable[Executed]]
    place: Place


def reinstall(
    actor: Actor,
    environment_id: UUID,
    *,
    image: str = "",
    keep_old: bool = False,
    root_password: str = "",
) -> Changed:
    """A new root from the image (the same or another); with `keep_old` the old tree is under /old."""
    shown: list[str | None] = [None]

    def mutate(row: Environment) -> dict[str, Any]:
        details: dict[str, Any] = {}
        for feature in FEATURES:
            details |= feature.replaced(actor, row)
        if row.kind == Kind.APP:
            row.image = check_reference(image) if image else row.image
        elif not wants_of(Kind(row.kind)).has_image:
            image_of(Kind(row.kind), image)
        elif row.image == NO_IMAGE and image not in ("", NO_IMAGE):
            raise Invalid(_("An empty jail has no image."), field="image")
        elif image and image != row.image:
            found = placement.candidates_for(image, timezone.now())
            if not any(c.has_image and c.node.pk == row.node_id for c in found):
                raise Invalid(
                    _("The image %(image)s is not ready on this environment's node.") % {"image": image[:64]},
                    field="image",
                    code="unknown_image",
                )
            check_choices(row.plan_version, kind=row.kind, kernel=row.kernel, image=image)
            row.image = image
            systemd.refuse(row, row.kernel)
        row.intent = {**row.intent, "rescue": Rescue.OFF.value}
        if row.kind == Kind.JAIL:
            row.intent["jail"] = {**row.intent["jail"], "build": ""}  # of what its image is now
        row.installs += 1
        row.keep_old_root = keep_old
        row.desired_state = DesiredState.STOPPED if row.image == NO_IMAGE else DesiredState.RUNNING
        if wants_of(Kind(row.kind)).has_accounts and (root_password or not row.ssh_keys):
            shown[0] = set_password(row, root_password)
        row.credentials_revision += 1
        return {**details, "image": row.image, "keep_old": keep_old}

    changed = change(actor, environment_id, Permission.ENVIRONMENT_REINSTALL, OperationKind.REINSTALL, mutate)
    return Changed(changed.environment, changed.operation, shown[0])


def set_credentials(
    actor: Actor,
    environment_id: UUID,
    *,
    ssh_keys: Sequence[str] | None = None,
    root_password: str | None = None,
) -> Changed:
    """New SSH keys (None: as they are) and root password (None: as it is; empty: one is made and shown)."""
    if ssh_keys is None and root_password is None:
        raise Invalid(_("Give ssh_keys, root_password, or both."), field="root_password")
    shown: list[str | None] = [None]
    checked = None if ssh_keys is None else check_ssh_keys(ssh_keys)
    hashed = ""
    if root_password is not None:
        if not root_password:
            shown[0] = credentials.random_password()
        text = shown[0] or credentials.check_password(root_password)
        hashed = credentials.hash_password(text, is_random=bool(shown[0]))

    def mutate(row: Environment) -> dict[str, Any]:
        if checked is not None:
            row.ssh_keys = checked
        if hashed:
            row.root_password_hash = hashed
        row.credentials_revision += 1
        return {"ssh_keys": len(row.ssh_keys), "root_password": bool(hashed)}

    changed = change(
        actor, environment_id, Permission.ENVIRONMENT_CREDENTIALS, OperationKind.CREDENTIALS, mutate
    )
    return Changed(changed.environment, changed.operation, shown[0])


def execute(
    actor: Actor,
    environment: Environment,
    agent: Agent,
    *,
    command: Sequence[str],
    timeout_s: float,
    stdin: str,
    encoding: str = "text",
) -> Running:
    """One command as root inside: its exit code and output. Who ran what is recorded, not what it said.

    Raises `TooMany` when the actor or his tenant has as many at once as may be.
    """
    actor.require(Permission.ENVIRONMENT_EXEC, environment)
    refuse_suspended(environment.tenant)
    place = EXECS.take(actor, environment.tenant_id, environment.tenant.path)
    try:
        with transaction.atomic():
            record(
                actor,
                "environment.exec",
                tenant_id=environment.tenant_id,
                target=environment,
                after={"command": " ".join(command)[:400]},
            )
    except BaseException:
        place.give_back()
        raise

    async def result() -> Executed:
        found = await agent.execute(
            environment.pk,
            list(command),
            user=actor.name,
            tenant_id=environment.tenant.payer,
            timeout_s=timeout_s,
            stdin=stdin,
            encoding=encoding,
        )
        return cast("Executed", found)

    return Running(result, place)

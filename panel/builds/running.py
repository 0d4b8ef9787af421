"""A build asked for: what its node is told, and what is made of how it ended."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from django.db import transaction
from django.utils.translation import gettext as _

from panel.at_rest import plain
from panel.audit.services import record
from panel.builds.models import Build, BuildSource
from panel.builds.options import Options, given_of
from panel.builds.services import found_source, locked_source, subject_of
from panel.contract_input import parse
from panel.environments.specs import held_to
from panel.errors import Conflict, Invalid, NotFound
from panel.images.archives import Staged, discard
from panel.jobs import services as jobs
from panel.jobs.services import Wanted
from panel.nodes.models import Node, NodeState
from panel.nodes.sealed import key_of
from panel.operations.models import Operation, OperationKind
from panel.registries import own
from panel.registries.models import Registry
from panel.registries.selectors import own_access
from panel.registries.signing import policies_of
from panel.repositories.store import Store
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.serving.shares import Place, Shares
from panel.tenants.models import Tenant
from panel.tenants.selectors import refuse_suspended
from runtime.contract import AppOptions, RegistryAccess
from runtime.contract import Subject as About
from runtime.contract import SubjectType as AboutType
from runtime.contract.build import BuildApp, BuildSecrets, GitSource, RegistryLogin
from runtime.contract.image import ArchiveFile

#: Of one build, and less where its tenant has less.
MOST_MEMORY_MB, MOST_PROCESSES, MOST_DISK_MB = 2048, 1024, 12_288
#: Contexts that come in at once, in the process that takes them: places for others than who has some.
CONTEXTS = Shares(of_person=2, of_tenant=2, of_tree=2, places=8, code="too_many_contexts")


def run(
    actor: Actor,
    source_id: UUID,
    *,
    options: Mapping[str, Any] | None = None,
    staged: Staged | None = None,
    is_image: bool = False,
    is_fresh: bool = False,
    pushed: str = "",
    retry_of: Operation | None = None,
) -> Build:
    """Has it built, with what `options` say in place of what its source says, this once. `staged`: a context,
    or (`is_image`) an image, which is taken as it is.
    Who may create environments of its tenant. An archive that isn't taken is thrown away."""
    try:
        with transaction.atomic():
            row = locked_source(actor, source_id)
            refuse_suspended(row.tenant)
            wanted = parse(Options, {**row.options, **(options or {})}, "")
            _refuse_nothing(row, wanted, staged)
            build = _ask(
                *(actor, row, wanted, staged),
                is_image=is_image,
                is_fresh=is_fresh,
                pushed=pushed,
                retry_of=retry_of,
            )
    except BaseException:
        if staged is not None:
            discard(staged.id)
        raise
    return build


def _refuse_nothing(row: BuildSource, wanted: Options, staged: Staged | None) -> None:
    if staged is not None and row.git is not None:
        raise Invalid(_("Its context comes from its Git repository."), field="archive")
    if row.git is None and staged is None and not wanted.dockerfile_text:
        raise Invalid(
            _("There is nothing to build: hand in a context, or give the text of a Dockerfile."),
            field="dockerfile_text",
        )


def _ask(
    actor: Actor,
    row: BuildSource,
    wanted: Options,
    staged: Staged | None,
    *,
    is_image: bool,
    is_fresh: bool,
    pushed: str,
    retry_of: Operation | None,
) -> Build:
    node, build_id = _node(row), uuid4()
    repository = f"{row.tenant.slug}/{row.name}"
    Store(own.place()).take(row.tenant.slug, str(row.tenant_id))
    image = f"{own.host()}/{repository}:{wanted.tag}"
    work = BuildApp(
        build_id=build_id,
        source_id=row.pk,
        tenant_id=row.tenant_id,
        git=_git(row),
        archive=ArchiveFile(id=staged.id, sha256=staged.sha256, bytes=staged.bytes) if staged else None,
        **wanted.model_dump(include={"dockerfile_text", "folder", "dockerfile", "target", "args"}),
        is_image=is_image,
        is_fresh=is_fresh,
        app=AppOptions(image=image),
        secrets=_locked(row, node, build_id, repository),
        **_limits(row.tenant),
    )
    about = About(type=AboutType.BUILD, id=str(row.pk))
    details = {"image": image, "number": row.last_number + 1, "options": _kept(wanted), "is_fresh": is_fresh}
    operation = jobs.ask(
        actor,
        subject_of(row),
        OperationKind.BUILD,
        Wanted(node, work, about, float(wanted.timeout_s)),
        details=details,
        retry_of=retry_of,
    )
    row.last_number += 1
    row.node = node
    row.save(update_fields=["last_number", "node"])
    build = Build.objects.create(
        id=build_id,
        source=row,
        number=row.last_number,
        operation=operation,
        node=node,
        archive=staged.id if staged else None,
        image=image,
        pushed=pushed,
    )
    record(
        actor,
        "build.run",
        tenant_id=row.tenant_id,
        target=row,
        after={"image": image, "number": build.number, "pushed": pushed},
        operation_id=operation.pk,
    )
    return build


def _kept(wanted: Options) -> dict[str, Any]:
    """For a retry; what may be read of it."""
    return wanted.model_dump(exclude_defaults=True, exclude={"dockerfile_text", "args"})


def again(actor: Actor, build: Build, operation: Operation) -> Operation:
    """The same once more. Raises `Conflict` where its context was handed in."""
    if build.archive is not None:
        raise Conflict(_("Its context is gone: hand it in again."), code="archive_missing")
    options = operation.details.get("options") or {}
    is_fresh = bool(operation.details.get("is_fresh"))
    made = run(
        actor, build.source_id, options=options, is_fresh=is_fresh, pushed=build.pushed, retry_of=operation
    )
    return made.operation


def found_build(actor: Actor, source_id: UUID, number: int) -> Build:
    """Raises `NotFound`."""
    source = found_source(actor, source_id)
    row = source.builds.select_related("operation", "node", "source__tenant").filter(number=number).first()
    if row is None:
        raise NotFound(_("This build"))
    return row


def _node(row: BuildSource) -> Node:
    """That has its layers, else the one with the least placed on it. Raises `Conflict` where none builds."""
    able = [
        one
        for one in Node.objects.filter(state=NodeState.ENABLED)
        if one.is_online() and one.facts.get("builds") and key_of(one.name)
    ]
    if not able:
        raise Conflict(
            _("No node of this installation can build right now."),
            code="no_builder",
            next_step=_("A node that is enabled and on line builds once buildah and git are installed on it."),
        )
    return next((one for one in able if one.pk == row.node_id), min(able, key=lambda one: one.placed))


def _limits(tenant: Tenant) -> dict[str, Any]:
    """Of one build: never more than all that its tenant may have."""
    held = held_to(tenant)
    return {
        "envelope": held,
        "cpu": held.cpu,
        "memory_mb": max(64, min(MOST_MEMORY_MB, held.memory_mb or MOST_MEMORY_MB)),
        "processes": max(16, min(MOST_PROCESSES, held.processes or MOST_PROCESSES)),
        "disk_mb": max(64, min(MOST_DISK_MB, held.disk_mb or MOST_DISK_MB)),
    }


def _git(row: BuildSource) -> GitSource | None:
    """With what an administrator allows for its host, among the registries."""
    if row.git is None:
        return None
    source = GitSource.model_validate(row.git)
    host = _host_of(source.url)
    rows = [one for one in _named(row.tenant) if one.host == host]
    return source.model_copy(
        update={"inward": any(one.inward for one in rows), "insecure": any(one.insecure for one in rows)}
    )


def _host_of(url: str) -> str:
    """As registries are named: with its port, where it isn't the usual one."""
    if "://" not in url:
        return url.partition("@")[2].partition(":")[0].lower()
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    return f"{host}:{parts.port}" if parts.port else host


def _named(tenant: Tenant) -> list[Registry]:
    """The nearest first."""
    rows = [*Registry.objects.filter(tenant_id__in=tenant.chain), *Registry.objects.filter(tenant=None)]
    place = {pk: number for number, pk in enumerate(reversed(tenant.chain))}
    return sorted(rows, key=lambda one: place.get(one.tenant_id, len(place)) if one.tenant_id else len(place))


def _logins(tenant: Tenant) -> tuple[RegistryLogin, ...]:
    """Of every registry that an image may be built on; the installation's own by a pass that only pulls."""
    rows = _named(tenant)
    ours = own_access(own.pass_for_all(tenant.pk))
    signed = policies_of(one for one in rows if one.host == own.host())
    found: dict[str, RegistryAccess] = {own.host(): ours.model_copy(update={"signatures": signed})}
    for row in rows:
        same = [one for one in rows if one.host == row.host]
        named = next((one for one in same if one.username or one.password), row)
        found.setdefault(
            row.host,
            RegistryAccess(
                username=named.username,
                password=plain(named.password),
                insecure=any(one.insecure for one in same),
                inward=any(one.inward for one in same),
                signatures=policies_of(same),
            ),
        )
    return tuple(RegistryLogin(host=host, access=access) for host, access in list(found.items())[:200])


def _locked(row: BuildSource, node: Node, build_id: UUID, repository: str) -> Any:
    given = given_of(row)
    pushes = own_access(own.pass_for(row.tenant_id, repository, pushes=True))
    whole = BuildSecrets(registries=_logins(row.tenant), push=pushes, **given.model_dump())
    return whole.locked(build_id, key=key_of(node.name))


def coming_in(actor: Actor, source_id: UUID) -> Place:
    """Where a context may come in now, to be given back. Raises what `run` would, and `TooMany`."""
    tenant = may_run(actor, source_id).tenant
    return CONTEXTS.take(actor, tenant.pk, tenant.path)


def may_run(actor: Actor, source_id: UUID) -> BuildSource:
    """Raises what `run` would, before anything of a context is read."""
    row = found_source(actor, source_id)
    actor.require(Permission.ENVIRONMENT_CREATE, row.tenant)
    refuse_suspended(row.tenant)
    if row.git is not None:
        raise Invalid(_("Its context comes from its Git repository."), field="archive")
    return row

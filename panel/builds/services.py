"""Sources of builds added, changed and removed."""

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from panel.at_rest import encrypted
from panel.audit.services import record
from panel.builds.models import Build, BuildSource
from panel.builds.options import Given, Options, given_of, kept
from panel.contract_input import parse
from panel.errors import Conflict, Invalid, NotFound
from panel.jobs.services import Wanted, ask
from panel.nodes.models import Node
from panel.operations.models import OPEN_STATES, Operation, OperationKind, SubjectType
from panel.operations.services import Subject
from panel.registries import own
from panel.repositories.store import NAME
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.stages.models import Stage
from panel.tenants.models import Tenant
from panel.tenants.selectors import locked_state, refuse_suspended
from runtime.contract import Subject as About
from runtime.contract import SubjectType as AboutType
from runtime.contract.build import DropBuilds, GitSource

#: Of one tenant.
MOST = 100
_DROP_WITHIN_S = 600.0
_LONGEST_NAME = 120
_GIT = frozenset(("url", "branch", "submodules", "host_key"))


def add_source(
    actor: Actor,
    tenant: Tenant,
    *,
    name: str,
    git: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
    stage: Stage | None = None,
) -> BuildSource:
    """Without `git` contexts are handed in, or a Dockerfile alone is built. Who may create environments of the
    tenant. Raises `Invalid` and `Conflict`."""
    actor.require(Permission.ENVIRONMENT_CREATE, tenant)
    if not own.is_offered():
        raise Conflict(
            _("This installation has no registry: docker-registry is not installed."), code="no_registry"
        )
    full = f"{tenant.slug}/{name}"
    if not NAME.fullmatch(full) or len(name) > _LONGEST_NAME:
        raise Invalid(
            _("A repository's name has lower-case letters, digits, and . _ - / between them."), field="name"
        )
    row = BuildSource(
        tenant=tenant,
        name=name,
        git=_git(git),
        options=parse(Options, dict(options or {}), "").model_dump(exclude_defaults=True),
        given=kept(parse(Given, dict(given or {}), "")),
        changed_by=actor.user,
    )
    with transaction.atomic():
        refuse_suspended(locked_state(tenant))
        if BuildSource.objects.filter(tenant=tenant).count() >= MOST:
            raise Conflict(_("There are %(most)s sources already.") % {"most": MOST}, code="too_many")
        _set_stage(actor, row, stage)
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(
                _("There is a build of %(name)s already.") % {"name": name}, code="name_taken", field="name"
            ) from error
        record(actor, "build.add", tenant_id=tenant.pk, target=row, after=audited(row))
    return row


def change_source(
    actor: Actor,
    source_id: UUID,
    *,
    git: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
    stage: Stage | None = None,
    clears_stage: bool = False,
) -> BuildSource:
    """What is given; the rest stays. Of `given["secrets"]` a null takes one out."""
    with transaction.atomic():
        row = locked_source(actor, source_id)
        refuse_suspended(row.tenant)
        _guard_stage(actor, row)
        before = audited(row)
        if git is not None:
            row.git = _git({**(row.git or {}), **git})
        if options:
            row.options = parse(Options, {**row.options, **options}, "").model_dump(exclude_defaults=True)
        if given:
            row.given = kept(parse(Given, _laid_over(given_of(row), given), ""))
        if stage is not None or clears_stage:
            _set_stage(actor, row, stage)
        row.changed_by = actor.user
        row.save()
        record(actor, "build.change", tenant_id=row.tenant_id, target=row, before=before, after=audited(row))
    return row


def _laid_over(known: Given, given: Mapping[str, Any]) -> dict[str, Any]:
    found = {**known.model_dump(), **given}
    if "secrets" in given:
        both = {**known.secrets, **(given["secrets"] or {})}
        found["secrets"] = {name: value for name, value in both.items() if value is not None}
    return found


def remove_source(actor: Actor, source_id: UUID) -> None:
    """Its images stay in the registry; logs and layers of its builds go. Not while one is at work."""
    with transaction.atomic():
        row = locked_source(actor, source_id)
        if Build.objects.filter(source=row, operation__state__in=OPEN_STATES).exists():
            raise Conflict(
                _("It is being built."), code="busy", next_step=_("Wait until it has ended, or cancel it.")
            )
        _remove(actor, row)


def remove_all(tenant: Tenant) -> bool:
    """Of a tenant that goes; whether nothing is left, on nodes neither. Builds at work end by themselves: their
    tenant is suspended."""
    open_ones = Operation.objects.filter(tenant=tenant, subject_type=SubjectType.BUILD, state__in=OPEN_STATES)
    if open_ones.exists():
        return False
    rows = BuildSource.objects.filter(tenant=tenant)
    for pk in list(rows.values_list("pk", flat=True)):
        with transaction.atomic():
            row = rows.select_related("tenant", "stage", "node").select_for_update(of=("self",)).get(pk=pk)
            _remove(None, row, because="tenant.delete")
    return not open_ones.exists()


def _remove(actor: Actor | None, row: BuildSource, **details: str) -> None:
    """Every node that has built it drops what it keeps: the last one isn't the only one."""
    nodes = Node.objects.filter(pk__in={row.node_id, *row.builds.values_list("node_id", flat=True)})
    about = About(type=AboutType.BUILD, id=str(row.pk))
    work = DropBuilds(source_id=row.pk, tenant_id=row.tenant_id)
    wanted = [Wanted(one, work, about, _DROP_WITHIN_S) for one in nodes.order_by("name")]
    operation_id = None
    if wanted:
        operation_id = ask(actor, subject_of(row), OperationKind.DELETE, *wanted, details=details).pk
    record(
        actor,
        "build.remove",
        tenant_id=row.tenant_id,
        target=row,
        before=audited(row),
        operation_id=operation_id,
    )
    row.delete()


def new_hook(actor: Actor, source_id: UUID) -> tuple[BuildSource, str]:
    """A secret for its webhook, which is shown this once; the one before is good for nothing. Raises `Conflict`
    for a source without a repository."""
    with transaction.atomic():
        row = locked_source(actor, source_id)
        if row.git is None:
            raise Conflict(_("It has no Git repository that could tell of pushes."), code="no_git")
        _guard_stage(actor, row)
        secret = secrets.token_urlsafe(32)
        row.hook, row.changed_by = encrypted(secret), actor.user
        row.save()
        record(actor, "build.hook", tenant_id=row.tenant_id, target=row, after={"hook": True})
    return row, secret


def found_source(actor: Actor, source_id: UUID) -> BuildSource:
    """Raises `NotFound` for one that the actor may not see."""
    rows = BuildSource.objects.for_actor(actor).select_related("tenant", "stage", "node")
    row = rows.filter(pk=source_id).first()
    if row is None:
        raise NotFound(_("This build"))
    return row


def locked_source(actor: Actor, source_id: UUID) -> BuildSource:
    """Raises `NotFound`, and `Forbidden` for who may see it only."""
    seen = found_source(actor, source_id).pk
    rows = BuildSource.objects.select_for_update(of=("self",)).select_related("tenant", "stage", "node")
    row = rows.filter(pk=seen).first()
    if row is None:
        raise NotFound(_("This build"))
    actor.require(Permission.ENVIRONMENT_CREATE, row.tenant)
    return row


def nobody() -> Conflict:
    """By whose rights nothing is built any more."""
    return Conflict(
        _("Who set this build up may no longer use this installation."),
        code="nobody",
        next_step=_("Somebody else changes the build, or makes its webhook anew."),
    )


def subject_of(row: BuildSource) -> Subject:
    return Subject(SubjectType.BUILD, str(row.pk), row.name[:64], row.tenant_id, None)


def audited(row: BuildSource) -> dict[str, Any]:
    """What may be read of it: neither a secret nor a value that a build is given."""
    options = dict(row.options)
    options.pop("dockerfile_text", None)
    options["args"] = sorted(options.get("args", {}))
    given = given_of(row)
    return {
        "git": row.git or {},
        **options,
        "secrets": sorted(given.secrets),
        "has_token": bool(given.token),
        "has_deploy_key": bool(given.deploy_key),
        "stage": str(row.stage) if row.stage else "",
    }


def _git(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not values:
        return None
    if odd := set(values) - _GIT:
        raise Invalid(_("git has no field %(name)s.") % {"name": ", ".join(sorted(odd))[:100]}, field="git")
    found = parse(GitSource, {"branch": "main", **values}, "git")
    if "://" in found.url:
        try:
            parts = urlsplit(found.url)
            is_good = bool(parts.hostname) and (parts.port is None or 0 < parts.port < 65_536)
        except ValueError:
            is_good = False
        if not is_good or (parts.password is not None):
            raise Invalid(
                _("The address of the repository has a host, and no password in it."),
                field="git.url",
                next_step=_("Give the password as token."),
            )
    return found.model_dump(include=set(_GIT), exclude_defaults=True) | {"branch": found.branch}


def _guard_stage(actor: Actor, row: BuildSource) -> None:
    """What goes into a stage by itself isn't changed by who may not bring anything there."""
    if row.stage is not None:
        actor.require(Permission.STAGE_MANAGE, row.tenant)


def _set_stage(actor: Actor, row: BuildSource, stage: Stage | None) -> None:
    if stage is not None:
        actor.require(Permission.STAGE_MANAGE, stage.tenant)
        if stage.tenant_id != row.tenant_id:
            raise Invalid(_("The stage is another tenant's."), field="stage")
    row.stage = stage

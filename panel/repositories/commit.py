"""An environment published as an image, in the registry of the installation."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.environments.models import Environment
from panel.environments.selectors import living_one
from panel.environments.trash import refuse_trashed
from panel.errors import Conflict, Invalid
from panel.jobs import services as jobs
from panel.jobs.models import Job
from panel.jobs.services import Wanted
from panel.operations.models import Operation, OperationKind, SubjectType
from panel.operations.services import Subject
from panel.registries import own
from panel.registries.selectors import own_access
from panel.repositories.store import DEEPEST, NAME, TAG, Store
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.tenants.selectors import refuse_suspended
from runtime.contract import AppOptions, DesiredState, JobReport, PublishImage
from runtime.contract import Subject as About
from runtime.contract import SubjectType as AboutType

#: A pass is good for an hour at least.
_WITHIN_S = 3600.0
_LONGEST = 200


def commit(
    actor: Actor, environment_id: UUID, *, name: str, tag: str = "latest", retry_of: Operation | None = None
) -> Operation:
    """Its disk as it is at one moment becomes `HOST/TENANT/name:tag`. Who may run commands inside, and create
    environments in its tenant. Raises `Invalid` and `Conflict`."""
    row = living_one(actor, environment_id)
    _require(actor, row)
    _refuse_what_has_no_disk(row)
    repository = f"{row.tenant.slug}/{name}"
    if not NAME.fullmatch(repository) or len(repository) > _LONGEST:
        raise Invalid(
            _("A repository's name has lower-case letters, digits, and . _ - / between them."), field="name"
        )
    if repository.count("/") > DEEPEST:
        raise Invalid(
            _("A repository's name has at most %(most)s parts below its tenant's.") % {"most": DEEPEST},
            field="name",
        )
    if not TAG.fullmatch(tag):
        raise Invalid(_("A tag has letters, digits and . _ -, 128 at most."), field="tag")
    if not own.is_offered():
        raise Conflict(
            _("This installation has no registry: docker-registry is not installed."), code="no_registry"
        )
    Store(own.place()).take(row.tenant.slug, str(row.tenant_id))
    registry = own_access(own.pass_for(row.tenant_id, repository, pushes=True))
    image = f"{own.host()}/{repository}:{tag}"
    work = PublishImage(environment_id=row.pk, app=AppOptions(image=image, registry=registry))
    about = About(type=AboutType.ENVIRONMENT, id=str(row.pk))
    subject = Subject(SubjectType.ENVIRONMENT, str(row.pk), row.name, row.tenant_id, row.pk)
    details = {"image": image, "name": name, "tag": tag}
    with transaction.atomic():
        wanted = Wanted(row.node, work, about, _WITHIN_S)
        operation = jobs.ask(actor, subject, OperationKind.COMMIT, wanted, details=details, retry_of=retry_of)
        record(
            actor,
            "environment.commit",
            tenant_id=row.tenant_id,
            target=row,
            after={"image": image},
            operation_id=operation.pk,
        )
    return operation


def _require(actor: Actor, row: Environment) -> None:
    actor.require(Permission.ENVIRONMENT_EXEC, row)
    actor.require(Permission.ENVIRONMENT_CREATE, row.tenant)


def _refuse_what_has_no_disk(row: Environment) -> None:
    refuse_suspended(row.tenant)
    refuse_trashed(row)
    if row.desired_state == DesiredState.DELETED:
        raise Conflict(_("This environment is being deleted."), code="deleting")
    if row.observed_generation == 0:
        raise Conflict(_("It isn't made yet."), code="not_made", next_step=_("Try again when it is."))


class CommitJobs:
    """`panel.jobs.kinds.JobKind` of images of environments: the registry has what became of them."""

    def require(self, actor: Actor, operation: Operation) -> None:
        if operation.environment is not None:
            _require(actor, operation.environment)

    def again(self, actor: Actor, operation: Operation) -> Operation | None:
        if operation.environment_id is None:
            return None
        name, tag = operation.details["name"], operation.details["tag"]
        return commit(actor, operation.environment_id, name=name, tag=tag, retry_of=operation)

    def hold(self, operation: Operation) -> None:
        """There is no row of it."""

    def reported(self, job: Job, report: JobReport) -> None:
        """The operation tells it."""

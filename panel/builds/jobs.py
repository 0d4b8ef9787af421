"""What builds that nodes do mean to the panel's rows."""

from uuid import UUID

import structlog
from django.db import transaction

from panel import events
from panel.builds import running, services
from panel.builds.models import Build, BuildSource
from panel.builds.services import locked_source
from panel.errors import Refused
from panel.images.archives import discard
from panel.jobs.models import Job
from panel.operations.models import Operation, OperationKind
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.stages import services as stages
from runtime.contract import JobOutcome, JobReport, Reference

log = structlog.get_logger()


class BuildJobs:
    """`panel.jobs.kinds.JobKind` of builds, and of the removal of what they left."""

    def require(self, actor: Actor, operation: Operation) -> None:
        actor.require(Permission.ENVIRONMENT_CREATE, operation.tenant)

    def again(self, actor: Actor, operation: Operation) -> Operation | None:
        build = Build.objects.filter(operation=operation).first()
        if operation.kind != OperationKind.BUILD or build is None:
            return None
        return running.again(actor, build, operation)

    def hold(self, operation: Operation) -> None:
        BuildSource.objects.select_for_update().filter(pk=operation.subject_id).first()

    def reported(self, job: Job, report: JobReport) -> None:
        """A no-op for a source that is gone."""
        build = Build.objects.filter(operation=job.operation_id).select_related("source").first()
        if build is None or report.outcome is None:
            return
        discard(build.archive)
        if report.outcome is JobOutcome.SUCCEEDED and report.built is not None:
            build.digest, build.commit = report.built.digest, report.built.commit
            build.save(update_fields=["digest", "commit"])
            if build.pushed and build.source.stage_id is not None:
                pk = build.pk
                transaction.on_commit(lambda: deploy(pk))
        events.publish("build", build.source_id, build.source.tenant_id)


def deploy(build_id: UUID) -> None:
    """What a push has built, into the stage of its source, by the rights of who set it. Why not, is kept."""
    build = Build.objects.select_related("source__tenant", "source__changed_by").filter(pk=build_id).first()
    if build is None or build.source.stage_id is None:
        return
    person = build.source.changed_by
    try:
        if person is None or not person.is_active:
            raise services.nobody()
        actor = Actor(person, address="")
        locked_source_of(actor, build)
        stages.deploy(actor, build.source.stage_id, f"{Reference.parse(build.image).name}@{build.digest}")
    except Refused as refusal:
        log.warning("build not deployed", build=str(build), code=refusal.code)
        Build.objects.filter(pk=build.pk).update(deployed=str(refusal)[:400])


def locked_source_of(actor: Actor, build: Build) -> None:
    """Raises for who may no longer build there."""
    with transaction.atomic():
        locked_source(actor, build.source_id)

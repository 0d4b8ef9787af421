"""/api/v1/repositories: what lies in the registry of the installation."""

from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router, Status

from panel.environments.accepted import WHAT
from panel.http.answers import ListOf
from panel.http.inputs import Input
from panel.http.inputs import Query as Parameters
from panel.http.paths import uuid_of
from panel.operations.answers import Operation
from panel.operations.selectors import show
from panel.registries import own
from panel.repositories import answers, archive, commit, services
from panel.rights.asking import actor
from panel.serving.promised import promised

router = Router()
of_environment = Router()


class Commit(Input):
    name: str = Field(max_length=200, description="Within its tenant: `web`, or `team/web`.")
    tag: str = Field(default="latest", max_length=128)


class Named(Parameters):
    name: str = Field(max_length=255, description="`TENANT/NAME`.")


class NamedTag(Named):
    tag: str = Field(max_length=128)


@router.get("", response=ListOf[answers.Repository], operation_id="repositories_list")
def list_(request: HttpRequest) -> ListOf[answers.Repository]:
    """Of the tenants whose environments you see. `docker push HOST/TENANT/NAME:TAG` puts one there."""
    found: list[answers.Repository] = [
        {
            "name": one.name,
            "reference": one.reference,
            "tenant": str(one.tenant.pk),
            "tags": len(one.tags),
            "bytes": one.bytes,
        }
        for one in services.repositories(actor(request))
    ]
    return {"items": found, "count": len(found)}


@router.get("/space", response=ListOf[answers.Space], operation_id="repositories_space")
def space(request: HttpRequest) -> ListOf[answers.Space]:
    """What each tenant has there, of what it may."""
    found: list[answers.Space] = [
        {
            "tenant": str(tenant.pk),
            "tenant_slug": tenant.slug,
            "host": own.host(),
            "used_bytes": used,
            "limit_bytes": services.limit_bytes(),
        }
        for tenant, used in services.spaces(actor(request))
    ]
    return {"items": found, "count": len(found)}


@router.get("/tags", response=ListOf[answers.Tag], operation_id="repositories_tags")
def tags(request: HttpRequest, of: Query[Named]) -> ListOf[answers.Tag]:
    """Each with its digest, what it was before, and who is made from it."""
    who = actor(request)
    found = services.repository(who, of.name)
    users = services.used_by(who, found)
    shown: list[answers.Tag] = [
        {
            "name": one.name,
            "reference": f"{found.reference}:{one.name}",
            "digest": one.digest,
            "bytes": one.bytes,
            "pushed_at": one.pushed_at.isoformat(),
            "before": list(one.before),
            "used_by": [str(pk) for pk in users.get(one.name, [])],
        }
        for one in found.tags
    ]
    return {"items": shown, "count": len(shown)}


@router.get("/archive", response={200: None}, operation_id="repositories_archive")
def archive_of(request: HttpRequest, of: Query[NamedTag]) -> HttpResponse:
    """An OCI archive, which `docker load`, `podman load` and skopeo take as well."""
    found = archive.download(actor(request), of.name, of.tag)
    return promised(request, found.answer, found.place)


@of_environment.post("/{pk}/commit", response={202: Operation}, operation_id="environments_commit")
def commit_environment(request: HttpRequest, pk: str, payload: Commit) -> Status[Operation]:
    """An image of its disk as it is now, in the registry of the installation. It goes on. What the node and the
    kernel write is left out, and so are variables, secrets and volumes that it was given."""
    asked = commit.commit(actor(request), uuid_of(pk, WHAT), name=payload.name, tag=payload.tag)
    return Status(202, show(asked))


@router.delete("/tags", response=answers.Removed, operation_id="repositories_remove_tag")
def remove_tag(request: HttpRequest, of: Query[NamedTag]) -> answers.Removed:
    """The manifest that it leads to goes, and so does every tag of the same digest. Refused while an app is
    made from it. Its layers go by and by."""
    digest, same = services.remove_tag(actor(request), of.name, of.tag)
    return {"digest": digest, "tags": same}

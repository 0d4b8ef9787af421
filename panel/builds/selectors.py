"""How sources and builds are shown."""

from collections.abc import Iterable
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from panel.builds import answers
from panel.builds.models import Build, BuildSource
from panel.builds.options import given_of, options_of
from panel.operations.models import OPEN_STATES
from panel.registries import own
from runtime.contract import Reference

_MOST_BUILDS = 20


def wanted_archives() -> Iterable[UUID]:
    """Contexts of builds that wait or are at work."""
    rows = Build.objects.filter(operation__state__in=OPEN_STATES).exclude(archive=None)
    return (one for one in rows.values_list("archive", flat=True) if one)


def hook_url(row: BuildSource) -> str:
    return f"{settings.WADAH.url.rstrip('/')}{reverse('build-hook', args=[row.pk])}" if row.hook else ""


def reference_of(row: Build) -> str:
    """By its digest; empty while it has none."""
    return f"{Reference.parse(row.image).name}@{row.digest}" if row.digest else ""


def show_build(row: Build) -> answers.OneBuild:
    return {
        "number": row.number,
        "operation": str(row.operation_id),
        "state": row.operation.state,
        "image": row.image,
        "digest": row.digest,
        "reference": reference_of(row),
        "commit": row.commit,
        "pushed": row.pushed,
        "not_deployed": row.deployed,
        "created_at": row.created_at.isoformat(),
    }


def show(row: BuildSource) -> answers.BuildSource:
    options, given, git = options_of(row), given_of(row), row.git
    return {
        "id": str(row.pk),
        "tenant": str(row.tenant_id),
        "name": row.name,
        "reference": f"{own.host()}/{row.tenant.slug}/{row.name}",
        "git": {
            "url": git["url"],
            "branch": git["branch"],
            "submodules": bool(git.get("submodules")),
            "host_key": git.get("host_key", ""),
        }
        if git
        else None,
        "folder": options.folder,
        "dockerfile": options.dockerfile,
        "dockerfile_text": options.dockerfile_text,
        "target": options.target,
        "tag": options.tag,
        "args": options.args,
        "timeout_s": options.timeout_s,
        "secrets": sorted(given.secrets),
        "username": given.username,
        "has_token": bool(given.token),
        "has_deploy_key": bool(given.deploy_key),
        "webhook": hook_url(row),
        "stage": str(row.stage_id) if row.stage_id else None,
        "builds": [show_build(one) for one in row.builds.select_related("operation")[:_MOST_BUILDS]],
        "created_at": row.created_at.isoformat(),
    }

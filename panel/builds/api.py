"""/api/v1/builds: images built from a Dockerfile, a context that is handed in, or a Git repository."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Field, Query, Router, Status

from panel.builds import answers, log, running, services
from panel.builds.models import BuildSource
from panel.builds.selectors import hook_url, show, show_build
from panel.errors import Invalid, Refused
from panel.http.answers import ListOf
from panel.http.inputs import Input, Naming
from panel.http.inputs import Query as Parameters
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.images.archives import Staged, drain, length_of, take_in
from panel.operations.selectors import show as show_operation
from panel.rights.actor import Actor
from panel.rights.asking import actor
from panel.serving.promised import promised
from panel.stages.models import Stage
from panel.stages.services import found_stage
from panel.tenants.selectors import tenant_of

router = Router()
_THIS = "This build"
_TAR = {"schema": {"type": "string", "format": "binary"}}
#: Of a context that is handed in, packed.
MOST_CONTEXT_MB = 1024
_OPTIONS = ("folder", "dockerfile", "dockerfile_text", "target", "tag", "args", "timeout_s")
_GIVEN = ("username", "token", "deploy_key", "secrets")


class GitInput(Input):
    url: str | None = Field(default=None, max_length=1400, description="https://…, ssh://… or git@host:path.")
    branch: str | None = Field(default=None, max_length=200, description="`main` where nothing is said.")
    submodules: bool | None = None
    host_key: str | None = Field(
        default=None, max_length=4096, description="Of a server by ssh: `ssh-ed25519 AAAA…`."
    )


class BuildOptions(Input):
    folder: str | None = Field(default=None, max_length=400, description="Of the context, that is built.")
    dockerfile: str | None = Field(default=None, max_length=400, description="Within the folder.")
    dockerfile_text: str | None = Field(
        default=None, max_length=262_144, description="In place of a file of the context, or without one."
    )
    target: str | None = Field(default=None, max_length=128, description="The stage that is built up to.")
    tag: str | None = Field(default=None, max_length=128)
    args: dict[str, str] | None = Field(default=None, description="Build arguments.")
    timeout_s: int | None = Field(default=None, description="30 to 2700 seconds.")


class BuildChange(BuildOptions):
    git: GitInput | None = None
    username: str | None = Field(default=None, max_length=255)
    token: str | None = Field(default=None, max_length=4096, description="Of the repository, by https.")
    deploy_key: str | None = Field(default=None, max_length=16_384, description="A private key, by ssh.")
    secrets: dict[str, str | None] | None = Field(
        default=None, description="For `RUN --mount=type=secret,id=NAME`; a null takes one out."
    )
    stage: str | None = Field(
        default=None, description="Where what a push has built goes by itself; empty: nowhere."
    )


class NewBuild(BuildChange):
    tenant: Naming
    name: str = Field(max_length=120, description="Of the repository in the registry: `web`, or `team/web`.")


class RunBuild(BuildOptions):
    is_fresh: bool = Field(default=False, description="Layers of earlier builds are thrown away first.")


class Tagged(Parameters):
    tag: str = Field(default="", max_length=128)
    is_image: bool = Field(
        default=False,
        description="The archive is an image, as `docker save` writes it: it is taken as it is.",
    )


class Following(Parameters):
    follow: bool = Field(default=False, description="Goes on until the build has ended.")
    after: int = Field(default=0, ge=0, description="Bytes that are known already.")


@router.get("", response=ListOf[answers.BuildSource], operation_id="builds_list")
def list_(request: HttpRequest, page: Query[Page]) -> ListOf[answers.BuildSource]:
    return page_of(BuildSource.objects.for_actor(actor(request)).select_related("tenant"), page, show)


@router.post("", response={201: answers.BuildSource}, operation_id="builds_create")
def create(request: HttpRequest, payload: NewBuild) -> Status[answers.BuildSource]:
    """What is built into `HOST/TENANT/NAME`. Nothing is built yet."""
    who = actor(request)
    tenant = tenant_of(who, payload.tenant)
    row = services.add_source(
        who,
        tenant,
        name=payload.name,
        git=_git(payload.git),
        options=_some(payload, _OPTIONS),
        given=_without_nulls(_some(payload, _GIVEN)),
        stage=_stage(who, payload.stage),
    )
    return Status(201, show(row))


@router.get("/{pk}", response=answers.BuildSource, operation_id="builds_get")
def get(request: HttpRequest, pk: str) -> answers.BuildSource:
    return show(services.found_source(actor(request), uuid_of(pk, _THIS)))


@router.patch("/{pk}", response=answers.BuildSource, operation_id="builds_update")
def update(request: HttpRequest, pk: str, payload: BuildChange) -> answers.BuildSource:
    who = actor(request)
    row = services.change_source(
        who,
        uuid_of(pk, _THIS),
        git=_git(payload.git),
        options=_some(payload, _OPTIONS),
        given=_some(payload, _GIVEN),
        stage=_stage(who, payload.stage),
        clears_stage=payload.stage == "",
    )
    return show(row)


@router.delete("/{pk}", response={204: None}, operation_id="builds_delete")
def delete(request: HttpRequest, pk: str) -> Status[None]:
    """Its images stay in the registry; logs and layers of its builds go."""
    services.remove_source(actor(request), uuid_of(pk, _THIS))
    return Status(204, None)


@router.post("/{pk}/run", response={202: answers.AskedBuild}, operation_id="builds_run")
def run(request: HttpRequest, pk: str, payload: RunBuild | None = None) -> Status[answers.AskedBuild]:
    """Has it built, with what is given in place of what it says, this once. Cancelled as any operation."""
    wanted = payload or RunBuild()
    options = _some(wanted, _OPTIONS)
    build = running.run(actor(request), uuid_of(pk, _THIS), options=options, is_fresh=wanted.is_fresh)
    return Status(202, {**show_build(build), "asked": show_operation(build.operation)})


@router.get("/{pk}/context/check", response={204: None}, operation_id="builds_context_check")
def may_hand_in(request: HttpRequest, pk: str, tagged: Query[Tagged]) -> Status[None]:
    """Whether a context may be handed in. The front asks it before it lets anything of a body through."""
    running.may_run(actor(request), uuid_of(pk, _THIS))
    return Status(204, None)


@router.post(
    "/{pk}/context",
    response={202: answers.AskedBuild},
    operation_id="builds_run_context",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/x-tar": _TAR, "application/octet-stream": _TAR},
        }
    },
)
def run_context(request: HttpRequest, pk: str, tagged: Query[Tagged]) -> Status[answers.AskedBuild]:
    """The body is the context as a tar archive, plain or packed by gzip, bzip2 or xz; it is built. With
    `is_image` it is an image, which goes into the registry as it is."""
    who, source_id = actor(request), uuid_of(pk, _THIS)
    try:
        place = running.coming_in(who, source_id)
        try:
            staged = _taken_in(request)
        finally:
            place.give_back()
    except Refused:
        drain(request.read)
        raise
    options = {"tag": tagged.tag} if tagged.tag else {}
    build = running.run(who, source_id, options=options, staged=staged, is_image=tagged.is_image)
    return Status(202, {**show_build(build), "asked": show_operation(build.operation)})


@router.get("/{pk}/runs/{number}", response=answers.OneBuild, operation_id="builds_run_get")
def get_run(request: HttpRequest, pk: str, number: int) -> answers.OneBuild:
    return show_build(running.found_build(actor(request), uuid_of(pk, _THIS), number))


@router.get("/{pk}/runs/{number}/log", response={200: None}, operation_id="builds_run_log")
def run_log(request: HttpRequest, pk: str, number: int, asked: Query[Following]) -> HttpResponse:
    """What git and buildah said, as text."""
    found = log.of(actor(request), uuid_of(pk, _THIS), number, after=asked.after, follows=asked.follow)
    return promised(request, found.answer, found.place)


@router.post("/{pk}/webhook", response=answers.Webhook, operation_id="builds_webhook")
def webhook(request: HttpRequest, pk: str) -> answers.Webhook:
    """An address that a forge tells of pushes, with a secret that is shown this once; the one before is good
    for nothing. Signed as GitHub and Gitea do, or the secret as GitLab's token or `Authorization: Bearer`."""
    row, secret = services.new_hook(actor(request), uuid_of(pk, _THIS))
    return {"url": hook_url(row), "secret": secret}


def _taken_in(request: HttpRequest) -> Staged:
    if request.content_type not in ("application/x-tar", "application/octet-stream"):
        raise Invalid(
            _("The archive is the request's body, with Content-Type: application/x-tar."), field="Content-Type"
        )
    return take_in(
        *(request.read, length_of(request)),
        most_mb=MOST_CONTEXT_MB,
        places="-build",
        at_once=running.CONTEXTS.places,
    )


def _some(payload: Input, names: tuple[str, ...]) -> dict[str, Any]:
    found = payload.model_dump(include=set(names), exclude_unset=True)
    return {name: value for name, value in found.items() if value is not None}


def _without_nulls(given: dict[str, Any]) -> dict[str, Any]:
    secrets = given.get("secrets")
    return {**given, "secrets": {k: v for k, v in secrets.items() if v is not None}} if secrets else given


def _git(git: GitInput | None) -> dict[str, Any] | None:
    return git.model_dump(exclude_none=True) if git is not None else None


def _stage(who: Actor, text: str | None) -> Stage | None:
    return found_stage(who, uuid_of(text, "This stage")) if text else None

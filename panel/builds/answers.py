"""What the API answers about builds."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from panel.http.answers import As, Id, Moment
from panel.operations.answers import Operation


class BuildGit(TypedDict):
    url: str
    branch: str
    submodules: bool
    host_key: Annotated[str, Field(description="Of a server by ssh; empty: the first one that it shows.")]


class OneBuild(TypedDict):
    number: int
    operation: Id
    state: Annotated[str, As(Literal["pending", "running", "succeeded", "failed", "cancelled"])]
    image: str
    digest: Annotated[str, Field(description="Empty until it is in the registry.")]
    reference: Annotated[str, Field(description="`HOST/TENANT/NAME@sha256:…`, for `POST /environments`.")]
    commit: str
    pushed: Annotated[str, Field(description="The commit of the push that asked for it; empty: a person did.")]
    not_deployed: Annotated[str, Field(description="Why it did not go into its stage; empty: it did.")]
    created_at: Moment


class BuildSource(TypedDict):
    id: Id
    tenant: Id
    name: str
    reference: Annotated[str, Field(description="As `docker pull` takes it, without a tag.")]
    git: BuildGit | None
    folder: str
    dockerfile: str
    dockerfile_text: str
    target: str
    tag: str
    args: dict[str, str]
    timeout_s: int
    secrets: Annotated[list[str], Field(description="Their names; no answer has a value.")]
    username: str
    has_token: bool
    has_deploy_key: bool
    webhook: Annotated[str, Field(description="Its address; empty: it has none.")]
    stage: Id | None
    builds: Annotated[list[OneBuild], Field(description="The newest first, twenty at most.")]
    created_at: Moment


class Webhook(TypedDict):
    url: str
    secret: Annotated[str, Field(description="Shown this once.")]


class AskedBuild(OneBuild):
    asked: Operation

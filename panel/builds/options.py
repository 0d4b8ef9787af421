"""What is said of a source, as it is kept: in plain text, and what is encrypted."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from panel.at_rest import encrypted, plain
from panel.builds.models import BuildSource
from runtime.contract.build import (
    MOST_ARGS,
    MOST_DOCKERFILE,
    MOST_SECRET_BYTES,
    MOST_SECRETS,
    NAME_PATTERN,
    SECRET_PATTERN,
    PathText,
    Text,
)

#: The pass by which a build pushes is good for an hour.
LONGEST_S = 2700


class Options(BaseModel):
    """How it is built."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dockerfile_text: Annotated[str, StringConstraints(max_length=MOST_DOCKERFILE, pattern=r"^[^\x00]*$")] = ""
    folder: PathText = ""
    dockerfile: PathText = ""
    target: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,128}$")] = ""
    tag: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$")] = "latest"
    args: Annotated[
        dict[Annotated[str, StringConstraints(pattern=NAME_PATTERN)], Text], Field(max_length=MOST_ARGS)
    ] = {}
    timeout_s: Annotated[int, Field(ge=30, le=LONGEST_S)] = 1800


class Given(BaseModel):
    """What is encrypted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    username: Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00-\x1f:]*$")] = ""
    token: Annotated[str, StringConstraints(max_length=4096, pattern=r"^[^\x00-\x1f]*$")] = ""
    deploy_key: Annotated[str, StringConstraints(max_length=16_384, pattern=r"^[^\x00]*$")] = ""
    secrets: Annotated[
        dict[
            Annotated[str, StringConstraints(pattern=SECRET_PATTERN)],
            Annotated[str, StringConstraints(max_length=MOST_SECRET_BYTES)],
        ],
        Field(max_length=MOST_SECRETS),
    ] = {}


def options_of(row: BuildSource) -> Options:
    return Options.model_validate(row.options)


def given_of(row: BuildSource) -> Given:
    """Nothing where no key can read it any more."""
    text = plain(row.given)
    return Given.model_validate_json(text) if text else Given()


def kept(given: Given) -> str:
    document: dict[str, Any] = given.model_dump(exclude_defaults=True)
    return encrypted(json.dumps(document)) if document else ""

"""Secrets of an app: their names and sizes, and how they travel, locked for one node and environment."""

import json
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from runtime.contract.locked import Locked

MOST: Final = 64
#: Of one, and of all of an app together.
MOST_BYTES, MOST_BYTES_TOGETHER = 64 * 1024, 256 * 1024

#: The name of a file.
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
SecretText = Annotated[str, StringConstraints(min_length=1, max_length=MOST_BYTES)]
SECRETS: Final[TypeAdapter[dict[str, str]]] = TypeAdapter(
    Annotated[dict[SecretName, SecretText], Field(max_length=MOST)]
)


def lock_secrets(secrets: dict[str, str], environment_id: UUID, *, key: bytes) -> Locked:
    """Raises `ValueError` without a key."""
    return Locked.of(json.dumps(secrets).encode(), _purpose(environment_id), key=key)


def open_secrets(locked: Locked, environment_id: UUID, *, key: bytes) -> dict[str, str]:
    """Raises `ValueError` for another key, another environment, or what was changed."""
    try:
        return SECRETS.validate_json(locked.opened(_purpose(environment_id), key=key))
    except ValidationError:
        raise ValueError("the secrets can't be opened") from None


def _purpose(environment_id: UUID) -> str:
    return f"secrets of an app\n{environment_id}"

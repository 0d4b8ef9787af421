"""Secrets of an app on their way: locked for one node and environment, since messages and specs are kept."""

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from runtime.contract.base import Message

if TYPE_CHECKING:  # what most processes never need takes its time to load
    from cryptography.fernet import Fernet

MOST: Final = 64
#: Of one, and of all of an app together.
MOST_BYTES, MOST_BYTES_TOGETHER = 64 * 1024, 256 * 1024

#: The name of a file.
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
SecretText = Annotated[str, StringConstraints(min_length=1, max_length=MOST_BYTES)]
SECRETS: Final[TypeAdapter[dict[str, str]]] = TypeAdapter(
    Annotated[dict[SecretName, SecretText], Field(max_length=MOST)]
)


class LockedSecrets(Message):
    """What nobody can read but who has the key that panel and node share, for this environment alone."""

    text: Annotated[str, StringConstraints(max_length=2**20, pattern=r"^[A-Za-z0-9_=-]+$")] = Field(repr=False)

    @classmethod
    def of(cls, secrets: dict[str, str], environment_id: UUID, *, key: bytes) -> "LockedSecrets":
        """Raises `ValueError` without a key."""
        return cls(text=_box(key, environment_id).encrypt(json.dumps(secrets).encode()).decode())

    def opened(self, environment_id: UUID, *, key: bytes) -> dict[str, str]:
        """Raises `ValueError` for another key, another environment, or what was changed."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415

        try:
            return SECRETS.validate_json(_box(key, environment_id).decrypt(self.text))
        except (InvalidToken, ValidationError):
            raise ValueError("the secrets can't be opened") from None


def _box(key: bytes, environment_id: UUID) -> "Fernet":
    return box_for(f"secrets of an app\n{environment_id}", key=key)


def box_for(purpose: str, *, key: bytes) -> "Fernet":
    """What was put in for one purpose can't be taken out for another. Raises `ValueError` without a key."""
    from cryptography.fernet import Fernet  # noqa: PLC0415

    if not key:
        raise ValueError("there is no key")
    derived = hmac.new(key, purpose.encode(), hashlib.sha256).digest()
    return Fernet(base64.urlsafe_b64encode(derived))

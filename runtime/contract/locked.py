"""Something locked on its way: messages are kept, and what is secret in them one node alone can read."""

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints

from runtime.contract.base import Message

if TYPE_CHECKING:  # what most processes never need takes its time to load
    from cryptography.fernet import Fernet


class Locked(Message):
    """What nobody can read but who has the key that the panel and one node share, and for one purpose alone."""

    text: Annotated[str, StringConstraints(max_length=2 * 2**20, pattern=r"^[A-Za-z0-9_=-]+$")] = Field(
        repr=False
    )

    @classmethod
    def of(cls, what: bytes, purpose: str, *, key: bytes) -> "Locked":
        """Raises `ValueError` without a key."""
        return cls(text=_box(purpose, key).encrypt(what).decode())

    def opened(self, purpose: str, *, key: bytes) -> bytes:
        """Raises `ValueError` for another key, another purpose, or what was changed."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415

        try:
            return _box(purpose, key).decrypt(self.text)
        except InvalidToken:
            raise ValueError("it can't be opened") from None


def _box(purpose: str, key: bytes) -> "Fernet":
    """What was put in for one purpose can't be taken out for another."""
    from cryptography.fernet import Fernet  # noqa: PLC0415

    if not key:
        raise ValueError("there is no key")
    derived = hmac.new(key, purpose.encode(), hashlib.sha256).digest()
    return Fernet(base64.urlsafe_b64encode(derived))

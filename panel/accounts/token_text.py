"""The text of an API token, and what is kept of it."""

import hashlib
import secrets

from panel.accounts.models import Token

PREFIX = "wdh"


def new_secret() -> str:
    """256 random bits."""
    return secrets.token_hex(32)


def digest_of(secret: str) -> str:
    """A random secret of 256 bits needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def text_of(token: Token, secret: str) -> str:
    return f"{PREFIX}_{token.id.hex}_{secret}"

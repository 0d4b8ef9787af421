"""Text at rest: encrypted in the database by the panel's keys, so that a stolen copy of it tells nothing."""

from collections.abc import Sequence
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db.models import QuerySet


def box(keys: Sequence[str] | None = None) -> MultiFernet:
    """Encrypts by the first key, decrypts by any; those of this installation where none are given."""
    return MultiFernet([Fernet(key) for key in (settings.SECRETS.field_keys if keys is None else keys)])


def encrypted(text: str) -> str:
    """Empty for empty: whether there is one isn't a secret."""
    return box().encrypt(text.encode()).decode() if text else ""


def plain(stored: str) -> str:
    """Empty for what is empty, and for what no key can read any more."""
    try:
        return box().decrypt(stored).decode() if stored else ""
    except InvalidToken:
        return ""


def encrypted_anew(stored: str, keys: Sequence[str]) -> str:
    """By the first key, what any of them can read; what nobody can read is left as it is."""
    try:
        return box(keys).rotate(stored.encode()).decode()
    except InvalidToken:
        return stored


def encrypt_anew(rows: "QuerySet[Any]", field: str, keys: Sequence[str]) -> int:
    """The same for a column of these rows; how many were written."""
    count = 0
    for row in rows.exclude(**{field: ""}).iterator():
        before = getattr(row, field)
        after = encrypted_anew(before, keys)
        if after != before:
            setattr(row, field, after)
            row.save(update_fields=[field])
            count += 1
    return count

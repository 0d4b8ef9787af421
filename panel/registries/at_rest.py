"""Passwords of registries, encrypted in the database: a stolen copy of it opens none."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from panel.registries.models import Registry


def _box(keys: Sequence[str]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def encrypted(password: str) -> str:
    return _box(settings.SECRETS.field_keys).encrypt(password.encode()).decode() if password else ""


def plain(stored: str) -> str:
    """Empty for what no key can read any more: the registry is then asked as by anybody."""
    try:
        return _box(settings.SECRETS.field_keys).decrypt(stored).decode() if stored else ""
    except InvalidToken:
        return ""


def encrypted_anew(stored: str, keys: Sequence[str]) -> str:
    """By the first key, what any of them can read; what nobody can read is left as it is."""
    try:
        return _box(keys).rotate(stored.encode()).decode()
    except InvalidToken:
        return stored


def encrypt_anew(keys: Sequence[str]) -> int:
    """By the first key, what any of them can read; how many. What nobody can read is left as it is."""
    count = 0
    for row in Registry.objects.exclude(password="").iterator():
        try:
            row.password = _box(keys).rotate(row.password.encode()).decode()
        except InvalidToken:
            continue
        row.save(update_fields=["password"])
        count += 1
    return count

"""The panel's own secrets: HOME/panel/secrets.json, mode 0600, made once."""

import json
import os
import secrets as random
import time
from collections.abc import Iterator
from pathlib import Path

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import BaseModel, ConfigDict, Field

_PUBLIC_KEY = "ticket.pub"


class OldKey(BaseModel):
    """A signing key that was replaced: what it signed is believed until then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(repr=False)
    until: float
    """Seconds since the epoch."""


class StillGood(list[OldKey]):
    """For `SECRET_KEY_FALLBACKS`: the keys whose time isn't over now, however long the process runs already."""

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        return (old.key for old in super().__iter__() if old.until > time.time())


class Secrets(BaseModel):
    """Keys that never enter the database, a log or a message."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    secret_key: str = Field(repr=False)
    """Django's signing key."""
    old_secret_keys: list[OldKey] = Field(default=[], repr=False)
    field_keys: list[str] = Field(repr=False, min_length=1)
    """Fernet keys for secrets at rest: the first encrypts, all decrypt."""
    ticket_key: str = Field(repr=False)
    """Ed25519 private key (PEM) that signs tickets for node agents."""

    @classmethod
    def make(cls) -> "Secrets":
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return cls(
            secret_key=random.token_urlsafe(64), field_keys=[Fernet.generate_key().decode()], ticket_key=pem
        )

    @classmethod
    def load(cls, home: Path) -> "Secrets":
        """FileNotFoundError before `manage.py prepare`."""
        return cls.model_validate(json.loads((home / "panel" / "secrets.json").read_text()))

    @classmethod
    def ensure(cls, home: Path) -> "Secrets":
        """Load, or make and write first; also keeps `ticket.pub` beside it, which nodes get a copy of."""
        path = home / "panel" / "secrets.json"
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if not path.exists():
            _write(path, json.dumps(cls.make().model_dump(), indent=2), 0o600)
        found = cls.load(home)
        _write(path.with_name(_PUBLIC_KEY), found.ticket_public_key(), 0o644)
        return found

    @classmethod
    def keep(cls, home: Path, wanted: "Secrets") -> "Secrets":
        """Write these in place of what was there."""
        path = home / "panel" / "secrets.json"
        _write(path, json.dumps(wanted.model_dump(), indent=2), 0o600)
        _write(path.with_name(_PUBLIC_KEY), wanted.ticket_public_key(), 0o644)
        return wanted

    def renewed(self, window_s: float) -> "Secrets":
        """New keys of every kind. What the old signing key signed is believed for `window_s`; the old keys of
        fields stay behind the new one until nothing is encrypted by them (`panel.config.rotation`)."""
        fresh, now = self.make(), time.time()
        old = [one for one in self.old_secret_keys if one.until > now]
        if window_s > 0:
            old.append(OldKey(key=self.secret_key, until=now + window_s))
        else:
            old = []
        return fresh.model_copy(
            update={"old_secret_keys": old, "field_keys": [*fresh.field_keys, *self.field_keys]}
        )

    def ticket_public_key(self) -> str:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

        public = load_pem_private_key(self.ticket_key.encode(), password=None).public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _write(path: Path, text: str, mode: int) -> None:
    """Whole or not at all: a temporary file beside it, then a rename."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

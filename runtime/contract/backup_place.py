"""Where a repository of backups lies that a node doesn't have in a directory of its own: a server, asked by
SFTP or S3, or another node.

What may be in it is held here, for both sides: a place becomes words of a command line and lines of a file.
"""

from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from runtime.contract.base import Message, Name, Port
from runtime.contract.words import asked

#: A name that DNS knows, or an address; no user, port or path.
HOST_PATTERN = r"^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45})$"
Host = Annotated[str, StringConstraints(pattern=HOST_PATTERN, max_length=253)]


def _is_downward(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError(asked.path_goes_up())
    return path


#: A directory on a server: nothing that a shell, restic or ssh would read as something else.
RemotePath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9._~@+=/-]{1,512}$", max_length=512),
    AfterValidator(_is_downward),
]
#: As `known_hosts` has it behind the name (sshd(8)): the sort of the key, and the key.
HostKey = Annotated[
    str, StringConstraints(pattern=r"^(?:ssh|ecdsa|sk)-[a-z0-9@.-]{3,60} [A-Za-z0-9+/]{40,2000}={0,2}$")
]
Word = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,256}$")]
Pem = Annotated[str, StringConstraints(pattern=r"^[\x0a\x0d\x20-\x7e]*$", max_length=65_536)]


class SftpPlace(Message):
    kind: Literal["sftp"] = "sftp"
    host: Host
    port: Port = 22
    user: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._@+-]{0,63}$")]
    path: RemotePath
    """Below the home of the user, where it begins with no slash."""
    host_key: HostKey | None = None
    """The one that is believed; None: whichever is shown, which is told."""
    is_inward: bool = False
    """An administrator lets it lie where nobody from outside reaches."""

    @property
    def at(self) -> tuple[str, int]:
        return self.host.lower(), self.port


class S3Place(Message):
    kind: Literal["s3"] = "s3"
    endpoint: Annotated[str, StringConstraints(max_length=300)]
    """https://host, with a port or without; http:// only where an administrator lets it lie inward."""
    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    prefix: RemotePath | None = None
    region: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{0,64}$")] = ""
    ca: Pem = ""
    """Certificates in PEM that vouch for it, in place of those that everybody has."""
    is_inward: bool = False

    @field_validator("endpoint")
    @classmethod
    def _is_an_address(cls, text: str) -> str:
        parts = urlsplit(text)
        host = parts.hostname or ""
        plain = f"{parts.scheme}://{parts.netloc}"
        is_host = _is_host(host) and parts.username is None and plain == text.rstrip("/")
        if parts.scheme not in ("https", "http") or not is_host or not 0 < (parts.port or 443) < 65536:
            raise ValueError(asked.odd_endpoint())
        return plain.lower()

    @model_validator(mode="after")
    def _is_encrypted(self) -> Self:
        if self.is_plain and not self.is_inward:
            raise ValueError(asked.plain_endpoint())
        return self

    @property
    def is_plain(self) -> bool:
        return self.endpoint.startswith("http:")

    @property
    def at(self) -> tuple[str, int]:
        parts = urlsplit(self.endpoint)
        host = parts.hostname or ""
        return (f"[{host}]" if ":" in host else host), parts.port or (80 if self.is_plain else 443)


def _is_host(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return all(one and one.replace("-", "").replace("_", "").isalnum() for one in text.split("."))
    return True


class NodePlace(Message):
    """A node that lets the others of its installation have backups in its directory."""

    kind: Literal["node"] = "node"
    node: Name
    host: Host
    port: Port
    certificate: Annotated[Pem, StringConstraints(min_length=1)]
    """Its own, in PEM: it alone is believed."""

    @property
    def at(self) -> tuple[str, int]:
        return (f"[{self.host}]" if ":" in self.host else self.host.lower()), self.port

    @property
    def is_inward(self) -> bool:
        """Nodes lie where their administrator has them."""
        return True


Place = Annotated[SftpPlace | S3Place | NodePlace, Field(discriminator="kind")]


class SftpLogin(Message):
    """One of both, or both."""

    kind: Literal["sftp"] = "sftp"
    password: Annotated[str, StringConstraints(pattern=r"^[^\x00\r\n]*$", max_length=1024)] = Field(
        default="", repr=False
    )
    private_key: Pem = Field(default="", repr=False)
    """As ssh has them in files, under no password."""


class S3Keys(Message):
    kind: Literal["s3"] = "s3"
    access_key: Word
    secret_key: Word = Field(repr=False)


class NodeLogin(Message):
    kind: Literal["node"] = "node"
    token: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,4096}$")] = Field(repr=False)
    """A `BackupPass`, signed by the panel."""


Login = Annotated[SftpLogin | S3Keys | NodeLogin, Field(discriminator="kind")]

"""Kind `app`: one application from an image of an OCI registry, and what is asked of it beside its image."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from runtime.contract.app_walls import AddedCapability, DroppedCapability, Labels, Sysctls, Ulimits
from runtime.contract.base import HostNameText, Message
from runtime.contract.health import Health, HealthSeen, ImageHealth
from runtime.contract.locked import Locked
from runtime.contract.logs import LogShipping, LogsSeen
from runtime.contract.secret import MOST, SecretName
from runtime.contract.tmpfs import Tmpfs
from runtime.contract.words import asked

#: As in `EnvironmentSpec.image` of an app, whose image has a reference in place of a name.
APP_IMAGE: Final = "app"
#: What stands for it where no host is named, as every client of registries has it.
DEFAULT_HOST: Final = "docker.io"
_DIGEST = r"sha256:[0-9a-f]{64}"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#: A name or an IPv4 address, or an IPv6 one in brackets; with a port or without.
HOST_PATTERN: Final = rf"^(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]{{2,45}}\])(?::[0-9]{{1,5}})?$"
_HOST = re.compile(HOST_PATTERN)
LOOKASIDE_PATTERN: Final = r"^$|^https?://[^\s/?#@\x00-\x1f]{1,255}(?:/[^\s?#\x00-\x1f]*)?$"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
#: Of the OCI distribution specification.
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LONGEST: Final = 400
#: Of variables and words together: what execve(2) takes at once is 2 MiB less than the stack's quarter.
_MOST_BYTES: Final = 128 * 1024
#: Of words and variables of an image together; execve takes twice as much.
_MOST_OF_IMAGE: Final = 1024 * 1024
#: Of what is told of a command to people.
_MOST_SHOWN_BYTES, _MOST_SHOWN_WORDS = 8 * 1024, 512
#: What is written by the node itself at each start.
_WRITTEN: Final = frozenset({"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"})
#: Of the text of all files together.
_MOST_IN_FILES: Final = 128 * 1024

#: As an image's configuration has them: one, or a range of them.
EXPOSED_PORT: Final = r"^[0-9]{1,5}(?:-[0-9]{1,5})?(?:/[a-z]{1,8})?$"
ExposedPort = Annotated[str, StringConstraints(pattern=EXPOSED_PORT)]
Word = Annotated[str, StringConstraints(max_length=32_768, pattern=r"^[^\x00]*$")]
Digest = Annotated[str, StringConstraints(pattern=rf"^{_DIGEST}$")]


@dataclass(frozen=True)
class Reference:
    """Where an image is: `host/repository`, and a tag or a digest."""

    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """As `docker pull` reads it: without a host it is Docker Hub's, without tag and digest `latest`.
        Raises `ValueError` with a sentence."""
        if len(text) > _LONGEST or not text.isascii() or not text:
            raise ValueError(asked.odd_image())
        name, _, digest = text.partition("@")
        if "@" in text and not re.fullmatch(_DIGEST, digest):
            raise ValueError(asked.odd_digest())
        first, slash, rest = name.partition("/")
        has_host = bool(slash) and ("." in first or ":" in first or first == "localhost" or first[0:1] == "[")
        host, path = (first, rest) if has_host else (DEFAULT_HOST, name)
        repository, _, tag = path.partition(":")
        if host == DEFAULT_HOST and "/" not in repository:
            repository = f"library/{repository}"
        if not _HOST.fullmatch(host) or not _port_fits(host):
            raise ValueError(asked.odd_registry())
        if not _REPOSITORY.fullmatch(repository):
            raise ValueError(asked.odd_repository())
        if tag and not _TAG.fullmatch(tag):
            raise ValueError(asked.odd_tag())
        return cls(host.lower(), repository, tag if tag or digest else "latest", digest)

    @property
    def name(self) -> str:
        """`host/repository`."""
        return f"{self.host}/{self.repository}"

    def __str__(self) -> str:
        tag, digest = self.tag and f":{self.tag}", self.digest and f"@{self.digest}"
        return f"{self.name}{tag}{digest}"


def _port_fits(host: str) -> bool:
    port = host.rpartition(":")[2] if re.search(r":[0-9]+$", host) and not host.endswith("]") else ""
    return not port or 1 <= int(port) <= 65_535


class SignaturePolicy(Message):
    """By whose key what a registry has must be signed."""

    kind: Literal["gpg", "sigstore"]
    """Simple signing (containers-signature(5)), or a key pair of sigstore's (cosign)."""
    key: Annotated[str, StringConstraints(min_length=1, max_length=65_536)]
    """Public: armoured, or PEM."""
    lookaside: Annotated[str, StringConstraints(max_length=400, pattern=LOOKASIDE_PATTERN)] = ""
    """Where signatures of the first kind lie; those of the other lie in the registry."""
    insecure: bool = False
    """That place may be asked without TLS."""
    inward: bool = False
    """It may lie at an address that nobody from outside reaches."""


class RegistryAccess(Message):
    """How a registry is asked: who asks, and what an administrator allows there."""

    username: Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00-\x1f:]*$")] = ""
    password: Annotated[str, StringConstraints(max_length=8192, pattern=r"^[^\x00-\x1f]*$")] = Field(
        default="", repr=False
    )
    insecure: bool = False
    """Over plain HTTP, or with a certificate that nobody vouches for."""
    inward: bool = False
    """It may lie at an address that nobody from outside reaches: the provider's own."""
    signatures: Annotated[tuple[SignaturePolicy, ...], Field(max_length=32)] = ()
    """All of them must hold before anything is run."""


def _address(value: Any) -> Any:
    """One sentence about what is none, in place of one for each family."""
    try:
        if isinstance(value, str):
            ip_address(value)
    except ValueError as odd:
        raise ValueError(asked.odd_address()) from odd
    return value


HostAddress = Annotated[IPv4Address | IPv6Address, BeforeValidator(_address)]


class AppRun(Message):
    """How an app is run; of what isn't said, its image's configuration holds."""

    command: Annotated[tuple[Word, ...], Field(max_length=256)] | None = None
    """In place of the image's entrypoint; the image's own arguments don't hold then."""
    args: Annotated[tuple[Word, ...], Field(max_length=256)] | None = None
    """In place of the image's command."""
    env: Annotated[dict[str, Word], Field(max_length=256)] = {}
    user: Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00-\x20/]*$")] | None = None
    """`name`, `number`, `name:group`, `number:number`; of names, those that the image knows."""
    workdir: Annotated[str, StringConstraints(max_length=1024, pattern=r"^/[^\x00]*$")] | None = None
    stop_signal: Annotated[str, StringConstraints(pattern=r"^(?:SIG)?[A-Z0-9+]{1,12}$")] | None = None
    read_only: bool = False
    """Its root can't be written to; `tmpfs` can."""
    tmpfs: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=256, pattern=r"^/[^\x00]+$")], ...],
        Field(max_length=16),
    ] = ()
    """Directories in memory, empty at each start: `/path`, or with options as `/path:size=64m,mode=755`."""
    shm_mb: Annotated[int, Field(ge=1, le=1_048_576)] | None = None
    """Of /dev/shm; half of the memory where it isn't said."""
    hosts: Annotated[dict[HostNameText, HostAddress], Field(max_length=64)] = {}
    """Further names in its /etc/hosts."""
    hostname: Annotated[HostNameText, Field(max_length=63)] | None = None
    """What it is called inside; its environment's name where it isn't said."""
    labels: Labels = {}
    """Words about it, which nobody acts on; at once, without a restart."""
    ulimits: Ulimits = {}
    """Of its processes: `SOFT:HARD` by Docker's names, no more than the node itself may."""
    sysctls: Sysctls = {}
    """Settings of the kernel's that are its own."""
    cap_add: Annotated[tuple[AddedCapability, ...], Field(max_length=40)] = ()
    """Further capabilities of its root, of those that its class of confinement has; `ALL`: all of them."""
    cap_drop: Annotated[tuple[DroppedCapability, ...], Field(max_length=64)] = ()
    """Those that its root hasn't; `ALL`: none but what is added."""
    files: Annotated[
        dict[str, Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]], Field(max_length=32)
    ] = {}
    """Text by path, written into its root before it starts: root's own, 0644."""
    init: bool = False
    """A small init before it, which reaps processes and hands signals on."""
    tty: bool = False
    health: Health | None = None
    """How it is asked how it is; acts at once, without a restart."""
    logs: LogShipping | None = None
    """Where what it writes is sent as well; acts at once, without a restart."""
    secrets: Annotated[dict[SecretName, Annotated[int, Field(ge=1)]], Field(max_length=MOST)] = {}
    """Files below /run/secrets, by name, with how often each was given; what they hold travels locked."""

    @field_validator("env")
    @classmethod
    def _has_names(cls, env: dict[str, str]) -> dict[str, str]:
        for name in env:
            if not re.fullmatch(r"[^=\x00-\x20]{1,256}", name):
                raise ValueError(asked.odd_variable())
        if sum(len(name) + len(value.encode()) for name, value in env.items()) > _MOST_BYTES:
            raise ValueError(asked.variables_too_long())
        return env

    @field_validator("files")
    @classmethod
    def _are_files(cls, files: dict[str, str]) -> dict[str, str]:
        for path in files:
            parts = path.split("/")[1:]
            is_plain = path.startswith("/") and len(path) <= 255 and path.isprintable()
            if not is_plain or any(part in ("", ".", "..") for part in parts):
                raise ValueError(asked.odd_file())
            if parts[0] in ("proc", "sys", "dev") or path in _WRITTEN or parts[:2] == ["run", "secrets"]:
                raise ValueError(asked.file_of_node(path))
        if sum(len(text.encode(errors="replace")) for text in files.values()) > _MOST_IN_FILES:
            raise ValueError(asked.files_too_long())
        return files

    @field_validator("tmpfs")
    @classmethod
    def _not_ours(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        for one in places:
            Tmpfs.parse(one)
        return places


class AppOptions(AppRun):
    """What a node is asked of an app."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST)]
    """Its reference: a tag is resolved once for each install."""
    registry: RegistryAccess = RegistryAccess()
    locked: Locked | None = None
    """What `secrets` hold."""

    @field_validator("image")
    @classmethod
    def _is_reference(cls, text: str) -> str:
        return str(Reference.parse(text))


class ImageConfig(Message):
    """Of an image's own configuration (OCI image-spec, config.md) what is used of it. Whoever made the image
    wrote it: no text has control characters, and all of it together an end."""

    entrypoint: tuple[Word, ...] = ()
    cmd: tuple[Word, ...] = ()
    env: tuple[Word, ...] = ()
    user: Annotated[str, StringConstraints(max_length=128, pattern=r"^[^\x00-\x20\x7f]*$")] = ""
    workdir: Annotated[str, StringConstraints(max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    stop_signal: Annotated[str, StringConstraints(max_length=16, pattern=r"^[A-Za-z0-9+-]*$")] = ""
    ports: Annotated[tuple[ExposedPort, ...], Field(max_length=64)] = ()
    """That it exposes: `80/tcp`."""
    volumes: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*$")], ...],
        Field(max_length=256),
    ] = ()
    health: ImageHealth | None = None

    @model_validator(mode="after")
    def _ends(self) -> Self:
        words = (*self.entrypoint, *self.cmd, *self.env)
        if len(words) > 4096 or sum(len(one.encode()) + 1 for one in words) > _MOST_OF_IMAGE:
            raise ValueError(asked.words_too_long())
        return self


class AppSeen(Message):
    """What a node found behind the reference of an app's image."""

    image: Annotated[str, StringConstraints(max_length=_LONGEST)]
    digest: Digest
    """Of what the reference led to: a manifest, or an index of several platforms."""
    bytes: Annotated[int, Field(ge=0)] = 0
    """Of its tree, unpacked."""
    command: Annotated[tuple[Word, ...], Field(max_length=_MOST_SHOWN_WORDS)] = ()
    """What its first process runs, as much of it as people read: each report carries it."""
    user: Annotated[str, StringConstraints(max_length=128)] = ""
    workdir: Annotated[str, StringConstraints(max_length=1024)] = ""
    ports: Annotated[tuple[str, ...], Field(max_length=64)] = ()
    health: HealthSeen | None = None
    """None: nobody says how to ask it, or it doesn't run."""
    logs: LogsSeen | None = None
    """None: its log is sent nowhere."""


def shown_command(words: Sequence[str]) -> tuple[str, ...]:
    """The beginning of a command, in `AppSeen`; what was left out is `…`."""
    shown, left = list[str](), _MOST_SHOWN_BYTES
    for word in words:
        if len(word.encode()) > left or len(shown) == _MOST_SHOWN_WORDS - 1:
            cut = word.encode()[:left].decode(errors="ignore") if len(word.encode()) > left else ""
            return (*shown, f"{cut}…")
        shown.append(word)
        left -= len(word.encode())
    return tuple(shown)

"""What an operator sets from outside: environment variables, all optional."""

from functools import cached_property
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from runtime.contract import redis_url

#: As in the header `Host`, and `::1` as `urlsplit` has it.
LOOPBACK = ["127.0.0.1", "localhost", "[::1]", "::1"]


class PanelEnv(BaseSettings):
    """Read once at start; pydantic reports all bad values together."""

    model_config = SettingsConfigDict(env_prefix="WADAH_", extra="ignore", frozen=True)

    home: Path = Path("/var/lib/wadah")
    url: str = "http://127.0.0.1:8080"
    """The address that browsers use. Scheme https turns on secure cookies, HSTS and redirects."""
    extra_hosts: str = ""
    """More host names that the panel answers to, separated by commas."""
    trusted_proxies: str = ""
    """Networks of proxies whose word on the client's address is believed, separated by commas."""
    ssh: str = ""
    """Where the SSH gateway listens, `ADDRESS:PORT` (`up --ssh`); empty: there is none."""
    redis_url: str = ""
    """Broker, cache and channel layer; empty: the installation's own Redis on HOME/run/redis.sock."""
    database_url: str = Field(default="", validation_alias="DATABASE_URL")
    """Empty: SQLite in HOME/panel/db.sqlite3."""
    database_wait_s: float = Field(default=15, ge=1, le=600)
    """For so long a statement, or SQLite's lock, is waited for; of processes that answer people: 4."""
    debug: bool = False
    log_json: bool = True
    session_idle_s: int = Field(default=1_800, ge=60)
    """After this long without a request or a key typed, one signs in again."""
    oidc_url: str = ""
    """Issuer of an OpenID Connect provider for single sign-on; empty: none."""
    oidc_client_id: str = ""
    oidc_client_secret: str = Field(default="", repr=False)
    oidc_name: str = "Single sign-on"
    """What the button of the sign-in page says."""
    oidc_creates_accounts: bool = False
    """Whether somebody with a verified address but without an account gets one by signing in."""
    email_host: str = ""
    """SMTP server for invitations and lost passwords; empty: mails are only written to the panel's log."""
    email_port: int = Field(default=587, ge=1, le=65535)
    email_user: str = ""
    email_password: str = Field(default="", repr=False)
    email_tls: Literal["starttls", "tls", "none"] = "starttls"
    email_from: str = "wadah@localhost"
    slot_cooldown_s: int = Field(default=86_400, ge=0)
    """How long the user ids of a deleted environment are kept back."""
    slot_least_rest_s: int = Field(default=60, ge=0)
    """The same where a node has no others left."""
    address_cooldown_s: int = Field(default=3_600, ge=0)
    """How long an address is kept back after its environment is gone."""
    deleted_rows_kept_s: int = Field(default=30 * 86_400, ge=0)
    """How long the row of a deleted environment is kept for its history."""
    tenant_delete_wait_s: int = Field(default=7 * 86_400, ge=0, le=90 * 86_400)
    """How long a tenant that is to be deleted can still be kept."""
    tenant_open_operations: int = Field(default=200, ge=1)
    """How many operations of one tenant may be open at once; more are refused until some have ended."""
    deeds_per_hour: int = Field(default=10_000, ge=1)
    """How many changes and commands of one tenant, or of a person beside any tenant, are taken in an hour."""
    operations_kept_days: int = Field(default=90, ge=1)
    """How long an operation that has ended is kept."""
    operations_kept: int = Field(default=20_000, ge=100)
    """How many of one tenant that have ended are kept, the newest."""
    tenant_consoles: int = Field(default=200, ge=1)
    """How many consoles and terminals of one tenant's environments may be open at once."""
    user_consoles: int = Field(default=32, ge=1)
    """The same of one person."""
    archive_max_mb: int = Field(default=4096, ge=1, le=1_048_576)
    """MiB of an archive that an image is made from, as it is handed in."""
    registry_tenant_mb: int = Field(default=10_240, ge=1)
    """MiB that each tenant may have in the registry of the installation."""
    domains_listen: str = ""
    """Where the front for tenants' domains listens, by commas; `*`: everywhere; empty: there is none."""
    domains_ports: str = "80,443"
    """Of that front: without TLS and with it."""
    domains_wildcard: str = ""
    """A name whose sub-domains all lead to that front: tenants get names below it. Empty: none."""
    domains_addresses: str = ""
    """By which addresses the world reaches that front, by commas: a name that leads there is proved by it."""
    tenant_domains: int = Field(default=100, ge=0)
    """How many domains one tenant may have, those that it had within a day included."""
    resolver: str = ""
    """Name server that is asked whose a domain is, `ADDRESS` or `ADDRESS:PORT`; empty: those of the machine."""
    acme_directory: str = ""
    """Of the ACME server that gives certificates to domains; empty: they have ones that nobody vouches for."""
    catalogue: Path | None = None
    """Folder of the provider's own entries of the catalogue, beside the product's."""
    agent_socket: Path | None = None
    """Socket of the node agent; None: HOME/run/agent.sock."""

    @field_validator("oidc_url")
    @classmethod
    def _is_safe_issuer(cls, url: str) -> str:
        """TLS, as OpenID Connect Core asks for (16.17): who is on the way could be anybody here otherwise."""
        parts = urlsplit(url)
        is_here = parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}
        if url and not is_here and not (parts.scheme == "https" and parts.hostname):
            raise ValueError("begins with https://; http:// is for a provider on this machine only")
        return url

    @field_validator("domains_wildcard")
    @classmethod
    def _has_no_star(cls, text: str) -> str:
        return text.lower().removeprefix("*.").strip(".")

    @property
    def panel_home(self) -> Path:
        return self.home / "panel"

    @property
    def agent_path(self) -> Path:
        return self.agent_socket or self.home / "run" / "agent.sock"

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        for one in text.split(","):
            if one.strip() and ip_network(one.strip(), strict=False).prefixlen == 0:
                raise ValueError("everybody can't be a proxy")
        return text

    @cached_property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme

    @cached_property
    def is_secure(self) -> bool:
        return self.scheme == "https"

    @cached_property
    def has_name(self) -> bool:
        """Whether browsers reach it by a name: passkeys belong to names, not to addresses (WebAuthn 5.1.2)."""
        try:
            ip_address(urlsplit(self.url).hostname or "")
        except ValueError:
            return True
        return False

    @cached_property
    def hosts(self) -> list[str]:
        """What ALLOWED_HOSTS holds: the public name and the further ones, of a panel on loopback all of its
        names; never `*`."""
        name = urlsplit(self.url).hostname or ""
        known = LOOPBACK if name in LOOPBACK else [f"[{name}]" if ":" in name else name]
        return list(dict.fromkeys(h for h in [*known, *self.extra_hosts.split(",")] if h))

    def _own_login(self) -> str:
        """For the installation's own Redis: `panel:<password>@`, or nothing where it knows no users."""
        file = self.home / "etc" / "redis-panel.password"
        return f"panel:{file.read_text().strip()}@" if file.exists() else ""

    @property
    def _redis(self) -> str:
        return self.redis_url or f"unix://{self._own_login()}{self.home}/run/redis.sock"

    @property
    def broker_url(self) -> str:
        return redis_url.broker_url(self._redis)

    @property
    def cache_url(self) -> str:
        return redis_url.client_url(self._redis)

    @field_validator("redis_url")
    @classmethod
    def _is_one_redis(cls, text: str) -> str:
        if text:
            redis_url.check(text)
        return text

"""The front's configuration, the same text for an installation and for docker-compose.dev.yml."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from runtime.install.front import Front, bracketed

#: Where archives are handed in.
ARCHIVE_ROUTES = "/api/v1/images/archive /images/import"
#: Where an archive of files, or a part of a file, goes into an environment, or a context into a build; asked
#: first is the address below it.
COPY_ROUTE = (
    "^(/api/v1/(?:environments/[0-9a-fA-F-]{32,36}/(?:cp|files/uploads)|builds/[0-9a-fA-F-]{32,36}/context))$"
)
#: The whole of a request is there by then: as long as an archive may take (`panel.images.archives.DEADLINE_S`).
BODY_DEADLINE = "30m"

#: At its end, requests that are under way have so long; one that was never sent whole would have no end.
GRACE_S = 3


def _problem(status: int, code: str, title: str, detail: str) -> str:
    """As the pages write it (RFC 9457)."""
    said = {
        "type": f"urn:wadah:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
    }
    return json.dumps(said)


#: For a body of 2 MB or more where no archive is expected.
_TOO_LONG = _problem(413, "too_long", "Content Too Large", "The body of a request has less than 2 MB here.")
#: For a body in chunks that are none.
_MALFORMED = _problem(
    400, "malformed_body", "Bad Request", "The body doesn't arrive as the chunks that its headers say."
)
#: For such a body where one is expected, sent as something else than a POST.
_NOT_SO = _problem(405, "http_405", "Method Not Allowed", "An archive is handed in by POST.")


@dataclass(frozen=True)
class Upstreams:
    """Addresses in the form of Caddy's `reverse_proxy`: of pages and API, of archives, of WebSockets."""

    web: str
    uploads: str
    ws: str
    registry: str = ""
    """Of who reads from the installation's registry; empty: it has none."""
    registry_gate: str = ""
    """Of who writes there."""


@dataclass(frozen=True)
class Site:
    """Where the front listens and what it answers to."""

    addresses: tuple[str, ...]
    """Caddy's addresses of sites, as `https://panel.example.org`."""
    bind: tuple[str, ...] = ()
    """Addresses of the machine to listen on; none: every one."""
    internal_tls: bool = False
    rest: str = ""
    """Caddy's address for whatever else arrives at the same port; empty: `addresses` takes all."""
    plain: str = ""
    """An address without TLS from which browsers are led on to the first of `addresses`; empty: none."""


def site_of(front: Front) -> Site:
    """Without TLS any name comes in, and the panel answers to those that it knows; with TLS there are
    certificates for these names only."""
    parts = urlsplit(front.own or front.url)
    if parts.scheme == "http":
        return Site((f"http://:{parts.port or 80}",), front.bind)
    port = f":{parts.port}" if parts.port else ""
    names = dict.fromkeys((parts.netloc.rpartition(":")[0] if parts.port else parts.netloc, *front.names))
    addresses = tuple(f"https://{name}{port}" for name in names)
    plain = "" if front.bind else "http://:80"
    return Site(addresses, front.bind, front.internal_tls, rest=f"https://{port or ':443'}", plain=plain)


def caddyfile(
    site: Site,
    to: Upstreams,
    *,
    static: Path | None = None,
    https: bool = True,
    proxies: Sequence[str] = (),
) -> str:
    """WebSockets to the ASGI process, hashed static files from the directory `static` (without one from `web`),
    archives to a process of their own, everything else to the pages' WSGI processes.

    The few WSGI threads never wait for a sender: a small body comes to them whole, and of an archive they are
    only asked whether its sender may. `https`: whether Caddy may get certificates by itself. Of the client's
    address, scheme and name the pages hear what the front saw itself, or what one of `proxies` said.
    """
    blocks = [_global(https=https)]
    blocks += [_block(site.addresses, site, _served(to, static, proxies))]
    if site.rest:
        blocks += [_block((site.rest,), site, _pages(to, proxies))]
    if site.plain:
        blocks += [_block((site.plain,), site, f"  redir {site.addresses[0]}{{uri}} 308\n", tls=False)]
    return "".join(blocks)


def _global(*, https: bool) -> str:
    """HTTP/3 isn't offered: one more listener, on UDP. No authority of ours enters the machine's own list."""
    return f"""{{
  admin off
  skip_install_trust
  grace_period {GRACE_S}s
  auto_https {"disable_redirects" if https else "off"}
  servers {{
    protocols h1 h2
    max_header_size 32KB
    timeouts {{
      read_header 20s
      read_body {BODY_DEADLINE}
      idle 1m
    }}
  }}
}}
"""


def _block(addresses: Sequence[str], site: Site, text: str, *, tls: bool = True) -> str:
    bind = f"  bind {' '.join(bracketed(one) for one in site.bind)}\n" if site.bind else ""
    internal = "  tls internal\n" if tls and site.internal_tls else ""
    return f"{', '.join(addresses)} {{\n{bind}{internal}  header -Server\n{_CLEAN}{text}{_ERRORS}}}\n"


_AWAY = (
    "The panel doesn't answer right now. Environments and what runs in them go on; try again in a few seconds."
)
#: What the front itself has to answer: processes behind it are being started again, or a request is no good.
_ERRORS = f"""  handle_errors {{
    header -Server
    header Cache-Control no-store
    header Retry-After 5
    @malformed expression `{{err.message}}.matches("chunk|MIME header|header line too long")`
    handle @malformed {{
      header -Retry-After
      header Content-Type application/problem+json
      respond `{_MALFORMED}` 400
    }}
    @too_long expression `{{err.status_code}} == 413`
    handle @too_long {{
      header -Retry-After
      header Content-Type application/problem+json
      respond `{_TOO_LONG}` 413
    }}
    @away_api expression `{{err.status_code}} in [502, 503, 504] && {{path}}.startsWith("/api/")`
    handle @away_api {{
      header Content-Type application/problem+json
      respond `{_problem(503, "panel_away", "Service Unavailable", _AWAY)}` 503
    }}
    @away expression `{{err.status_code}} in [502, 503, 504]`
    handle @away {{
      header Content-Type "text/html; charset=utf-8"
      respond `<!DOCTYPE html><html lang="en"><title>Not available now</title><p>{_AWAY}` 503
    }}
    handle {{
      header -Retry-After
      respond "{{err.status_code}} {{err.status_text}}" {{err.status_code}}
    }}
  }}
"""
#: Names of headers that say who the client is, in the spellings that a gateway (PEP 3333, RFC 3875) can't tell
#: from those of the front: with underscores, and such as proxies of other kinds send. `X-Forwarded-For` and
#: `-Proto` are the front's own to write.
_CLEAN = """  request_header -*_*
  request_header -Forwarded
  request_header -X-Real-Ip
  request_header -X-Client-Ip
  request_header -X-Forwarded-Host
  request_header -X-Forwarded-Server
  request_header -X-Forwarded-Port
  request_header -X-Forwarded-Ssl
  request_header -X-Forwarded-Scheme
  request_header -X-Original-Url
  request_header -X-Rewrite-Url
  request_header -X-Http-Method-Override
  request_header -Proxy
"""


def _served(to: Upstreams, static: Path | None, proxies: Sequence[str]) -> str:
    archive_max_mb = int(os.environ.get("WADAH_ARCHIVE_MAX_MB") or 4096)
    trusted = _trusted(proxies)
    return f"""  encode gzip
  @sockets path /ws/*
  handle @sockets {{
    reverse_proxy {to.ws} {{{trusted}
    }}
  }}{_static(static)}
  @archives {{
    method POST
    path {ARCHIVE_ROUTES}
  }}
{_registry(to)}  @copies {{
    method POST
    path_regexp copy {COPY_ROUTE}
  }}
  @long {{
    header_regexp Content-Length ^([2-9][0-9]{{6}}|[0-9]{{8,}})$
    not {{
      method POST
      path {ARCHIVE_ROUTES}
    }}
    not {{
      method POST
      path_regexp {COPY_ROUTE}
    }}
  }}
  handle @long {{
    header Content-Type application/problem+json
    @handed_in_otherwise path {ARCHIVE_ROUTES}
    handle @handed_in_otherwise {{
      header Allow POST
      respond `{_NOT_SO}` 405
    }}
    respond `{_TOO_LONG}` 413
  }}
  handle @archives {{
    request_body {{
      max_size {archive_max_mb + 1}MiB
    }}
    forward_auth {to.web} {{
      uri {{uri}}{trusted}
    }}
    reverse_proxy {to.uploads} {{{trusted}
    }}
  }}
  handle @copies {{
    request_body {{
      max_size {archive_max_mb + 1}MiB
    }}
    forward_auth {to.web} {{
      uri {{re.copy.1}}/check?{{query}}{trusted}
    }}
    reverse_proxy {to.uploads} {{{trusted}
    }}
  }}
{_pages(to, proxies)}"""


def _registry(to: Upstreams) -> str:
    """Where clients of registries expect one (distribution-spec). A layer is as long as it is: who counts it is
    behind here. `/v2` is under no other address."""
    if not to.registry:
        return ""
    return f"""  @pushed {{
    path /v2/*
    method POST PUT PATCH DELETE
  }}
  handle @pushed {{
    request_body {{
      max_size 1TiB
    }}
    reverse_proxy {to.registry_gate}
  }}
  @pulled path /v2 /v2/*
  handle @pulled {{
    request_body {{
      max_size 1MiB
    }}
    reverse_proxy {to.registry}
  }}
"""


def _pages(to: Upstreams, proxies: Sequence[str]) -> str:
    """With a bound that no body meets, since Caddy takes one that breaks off for whole where it has none."""
    return f"""  handle {{
    request_body {{
      max_size 2MB
    }}
    reverse_proxy {to.web} {{
      buffer_requests
      max_buffer_size 3MB{_trusted(proxies)}
    }}
  }}
"""


def _trusted(proxies: Sequence[str]) -> str:
    return f"\n      trusted_proxies {' '.join(proxies)}" if proxies else ""


def _static(directory: Path | None) -> str:
    if directory is None:
        return ""
    return f"""
  handle_path /static/* {{
    root * {directory}
    @strange not path_regexp ^[A-Za-z0-9._/@+-]{{1,250}}$
    error @strange 404
    header Cache-Control "public, max-age=31536000, immutable"
    header X-Content-Type-Options nosniff
    file_server
  }}"""

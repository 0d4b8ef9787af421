"""The front's configuration, the same text for an installation and for docker-compose.dev.yml."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

#: Where archives are handed in.
ARCHIVE_ROUTES = "/api/v1/images/archive /images/import"
#: The whole of a request is there by then: as long as an archive may take (`panel.images.archives.DEADLINE_S`).
BODY_DEADLINE = "30m"
#: For a body of 2 MB or more where no archive is expected (RFC 9457).
_TOO_LONG = json.dumps(
    {
        "type": "urn:wadah:problem:too_long",
        "title": "Content Too Large",
        "status": 413,
        "code": "too_long",
        "detail": "The body of a request has less than 2 MB here.",
    }
)


@dataclass(frozen=True)
class Upstreams:
    """Addresses in the form of Caddy's `reverse_proxy`: of pages and API, of archives, of WebSockets."""

    web: str
    uploads: str
    ws: str


def caddyfile(
    site: str, to: Upstreams, *, internal_tls: bool = False, static: Path | None = None, https: bool = True
) -> str:
    """WebSockets to the ASGI process, hashed static files from the directory `static` (without one from `web`),
    archives to a process of their own, everything else to the pages' WSGI processes.

    The few WSGI threads never wait for a sender: a small body comes to them whole, and of an archive they are
    only asked whether its sender may. `https`: whether Caddy may get certificates by itself.
    """
    archive_max_mb = int(os.environ.get("WADAH_ARCHIVE_MAX_MB") or 4096)
    return f"""{{
  admin off
  auto_https {"disable_redirects" if https else "off"}
  servers {{
    timeouts {{
      read_header 20s
      read_body {BODY_DEADLINE}
      idle 5m
    }}
  }}
}}
{site} {{
  {"tls internal" if internal_tls else ""}
  header -Server
  encode gzip
  @sockets path /ws/*
  handle @sockets {{
    reverse_proxy {to.ws}
  }}{_static(static)}
  @long {{
    not path {ARCHIVE_ROUTES}
    header_regexp Content-Length ^([2-9][0-9]{{6}}|[0-9]{{8,}})$
  }}
  handle @long {{
    header Content-Type application/problem+json
    respond `{_TOO_LONG}` 413
  }}
  @archives {{
    method POST
    path {ARCHIVE_ROUTES}
  }}
  handle @archives {{
    request_body {{
      max_size {archive_max_mb + 1}MiB
    }}
    forward_auth {to.web} {{
      uri {{uri}}
    }}
    reverse_proxy {to.uploads}
  }}
  handle {{
    request_body {{
      max_size 2MB
    }}
    reverse_proxy {to.web} {{
      buffer_requests
    }}
  }}
}}
"""


def _static(directory: Path | None) -> str:
    if directory is None:
        return ""
    return f"""
  handle_path /static/* {{
    root * {directory}
    header Cache-Control "public, max-age=31536000, immutable"
    header X-Content-Type-Options nosniff
    file_server
  }}"""

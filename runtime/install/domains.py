"""The front for tenants' domains: a Caddy of its own, whose configuration no domain changes.

For each request it asks the router (`runtime.router`) who serves the name, and for each certificate whether it
may get one. Caddy 2.6 ends every WebSocket when its configuration is exchanged, so a change of one tenant's
domain would be felt by all.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runtime.held import HELD_S
from runtime.install.front import Front, bracketed
from runtime.install.layout import ACCESS_LOG, Layout
from runtime.install.output import Stop

#: Below HOME.
SOCKET = Path("domains/run/router.sock")
_ASK_PORT = 7081
#: Of the log of requests: what is kept at most is four times that.
_LOG_MIB, _LOGS = 64, 3


@dataclass(frozen=True)
class Authority:
    """Who gives certificates."""

    directory: str = ""
    """Of an ACME server (RFC 8555); empty: an authority of the front's own, which nobody knows."""
    email: str = ""
    root: str = ""
    """File with the certificate that the ACME server itself is known by; empty: those of the machine."""

    @classmethod
    def said(cls) -> "Authority":
        """By the operator's settings. Raises `Stop` for what can't be."""
        found = cls(*(os.environ.get(f"WADAH_ACME_{name}", "") for name in ("DIRECTORY", "EMAIL", "ROOT")))
        parts = urlsplit(found.directory)
        if found.directory and (parts.scheme != "https" or not parts.hostname):
            raise Stop("WADAH_ACME_DIRECTORY is an address that begins with https://")
        if found.root and not Path(found.root).is_file():
            raise Stop(f"WADAH_ACME_ROOT names no file: {found.root}")
        return found


def ask_address(layout: Layout) -> str:
    """Where the front asks whether it may get a certificate: on loopback, of each installation its own."""
    seen = hashlib.sha256(os.fsencode(layout.home)).digest()
    return f"127.{1 + seen[0] % 254}.{seen[1]}.{1 + seen[2] % 254}:{_ASK_PORT}"


def caddy_document(layout: Layout, front: Front, authority: Authority) -> str:
    """Its configuration, for caddy(8) `run --config`."""
    http, tls = front.domains_ports
    servers = {
        "http": _server(layout.home, front, http, {}),
        "tls": _server(layout.home, front, tls, {"tls_connection_policies": [{}]}),
    }
    log = _log(layout.home / ACCESS_LOG)
    document = {
        "admin": {"disabled": True, "config": {"persist": False}},
        "storage": {"module": "file_system", "root": str(layout.home / "domains" / "store")},
        "logging": {"logs": {"default": {"exclude": ["http.log.access"]}, "requests": log}},
        "apps": {
            "http": {"http_port": http, "https_port": tls, "grace_period": "3s", "servers": servers},
            "tls": {"automation": _automation(layout, authority, http, tls)},
            "pki": {"certificate_authorities": {"local": {"install_trust": False}}},
        },
    }
    return json.dumps(document, indent=1) + "\n"


def _automation(layout: Layout, authority: Authority, http: int, tls: int) -> dict[str, Any]:
    issuer: dict[str, Any] = {"module": "internal"}
    if authority.directory:
        challenges = {"http": {"alternate_port": http}, "tls-alpn": {"alternate_port": tls}}
        issuer = {"module": "acme", "ca": authority.directory, "challenges": challenges}
        if authority.email:
            issuer["email"] = authority.email
        if authority.root:
            # the front's user may not be able to read the operator's own file
            issuer["trusted_roots_pem_files"] = [str(root_copy(layout))]
    ask = f"http://{ask_address(layout)}/ask"
    return {"policies": [{"on_demand": True, "issuers": [issuer]}], "on_demand": {"ask": ask}}


def file_of(layout: Layout) -> Path:
    return layout.home / "domains" / "caddy.json"


def root_copy(layout: Layout) -> Path:
    return layout.home / "domains" / "acme-root.pem"


def _log(file: Path) -> dict[str, Any]:
    """One line a request; no header, since those hold what is secret."""
    dropped = ("request>headers", "request>tls", "resp_headers", "user_id", "logger", "msg", "level")
    fields = {name: {"filter": "delete"} for name in dropped}
    writer = {"output": "file", "filename": str(file), "roll_size_mb": _LOG_MIB, "roll_keep": _LOGS}
    encoder = {"format": "filter", "wrap": {"format": "json"}, "fields": fields}
    return {"writer": {**writer, "roll_gzip": False}, "encoder": encoder, "include": ["http.log.access"]}


def _server(home: Path, front: Front, port: int, more: dict[str, Any]) -> dict[str, Any]:
    hosts = [bracketed(one) for one in front.domains] if front.domains != ("*",) else [""]
    return {
        "listen": [f"{host}:{port}" for host in hosts],
        "protocols": ["h1", "h2"],
        "automatic_https": {"disable": True},
        "read_header_timeout": "20s",
        "read_timeout": "1h",
        "idle_timeout": "2m",
        "max_header_bytes": 32 * 1024,
        "routes": [{"handle": [_clean(), _asking(home), _serving()]}],
        "errors": {"routes": [{"handle": [_failed()]}]},
        "logs": {"logger_names": {}},
        **more,
    }


def _clean() -> dict[str, Any]:
    """What says who the client is, is the front's own to write; underscores as in `caddyfile._CLEAN`."""
    spoofed = ("*_*", "X-Wadah-*", "X-Real-Ip", "X-Client-Ip", "Forwarded", "Proxy", "X-Forwarded-Port")
    return {"handler": "headers", "request": {"delete": list(spoofed)}}


def _asking(home: Path) -> dict[str, Any]:
    """204 names who serves it; any other answer of the router is the client's."""
    said = {
        "X-Wadah-Scheme": ["{http.request.scheme}"],
        "X-Wadah-Uri": ["{http.request.orig_uri}"],
        "X-Wadah-Client": ["{http.request.remote.host}"],
    }
    unneeded = ["Cookie", "Upgrade", "Connection", "Sec-*", "Accept*", "User-Agent", "Content-*", "Referer",
                "Transfer-Encoding", "Expect", "X-Forwarded-*"]  # fmt: skip
    names = {name: f"{{http.reverse_proxy.header.X-Wadah-{name.title()}}}" for name in ("first", "second")}
    keep = {"match": {"status_code": [204]}, "routes": [{"handle": [{"handler": "vars", **names}]}]}
    return {
        "handler": "reverse_proxy",
        "rewrite": {"method": "GET", "uri": "/"},
        "upstreams": [{"dial": f"unix/{home / SOCKET}"}],
        "headers": {"request": {"set": said, "delete": unneeded}},
        "transport": {"protocol": "http", "response_header_timeout": f"{HELD_S + 10:g}s", "compression": False,
                      "keep_alive": {"max_idle_conns_per_host": 256}},
        "load_balancing": {"try_duration": "2s", "try_interval": "50ms"},
        "handle_response": [keep],
    }  # fmt: skip


def _serving() -> dict[str, Any]:
    """By the two that the router named for this very request: where the one takes no connection, the other."""
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": "{http.vars.first}"}, {"dial": "{http.vars.second}"}],
        "load_balancing": {
            "selection_policy": {"policy": "random"},
            "try_duration": "2s",
            "try_interval": "50ms",
        },
        "transport": {
            "protocol": "http",
            "dial_timeout": "3s",
            # shorter than a copy is out of the front while it is replaced: a connection to the one before would
            # be found dead by a request that can't be sent twice
            "keep_alive": {"idle_timeout": "1s", "max_idle_conns_per_host": 64},
        },
    }


def _failed() -> dict[str, Any]:
    """The front's own answers: nobody took the connection, or it broke."""
    body = "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>Not available now</title><p>" \
           "What is behind this name doesn't answer right now.</p></html>\n"  # fmt: skip
    headers = {"Content-Type": ["text/html; charset=utf-8"], "Cache-Control": ["no-store"]}
    return {
        "handler": "static_response",
        "status_code": "{http.error.status_code}",
        "headers": {**headers, "Retry-After": ["10"]},
        "body": body,
    }

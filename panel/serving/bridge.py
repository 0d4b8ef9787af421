"""Between the server's ASGI and Django's WSGI application (PEP 3333): one request there, one answer back."""

import sys
from collections.abc import Awaitable, Callable, Iterable
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from panel.serving.later import MAY_WAIT

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Environ = dict[str, Any]

#: Longer bodies are not read on: as the front's `request_body`, of which just this many bytes come.
LIMIT_BYTES = 2_000_000
_PLAIN = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
_BETWEEN = {"cookie": "; "}


class TooLong(Exception):
    """The body is longer than may be."""


class Gone(Exception):
    """The client went away before it had said all."""


async def body_of(receive: Receive) -> bytes:
    """All of a request's body. Raises `TooLong` and `Gone`.

    One that is as long as the front lets through is read to its end all the same: with something left unread
    the server closes the connection, at times before the front has read the answer, which makes a 502 of it.
    """
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        piece: bytes = message.get("body", b"")
        body = body + piece if body else piece
        if len(body) > LIMIT_BYTES:
            raise TooLong
        if not message.get("more_body"):
            break
    if len(body) == LIMIT_BYTES:
        raise TooLong
    return body


def environ_of(scope: Scope, body: bytes) -> Environ:
    """What a WSGI server would make of the request. Names with underscores are left out: spelled as a variable,
    `X_Forwarded_For` would be the header that only the front may set."""
    raw = scope.get("raw_path") or scope["path"].encode()
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(raw.partition(b"?")[0]).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": "panel",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": str((scope.get("client") or ("",))[0]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        MAY_WAIT: True,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name:
            continue
        key = _PLAIN.get(name) or f"HTTP_{name.upper().replace('-', '_')}"
        environ[key] = f"{environ[key]}{_BETWEEN.get(name, ',')}{value}" if key in environ else value
    if "CONTENT_LENGTH" not in environ and "HTTP_TRANSFER_ENCODING" in environ:
        environ["CONTENT_LENGTH"] = str(len(body))
    return environ


def start_of(status: int, headers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The message that begins an answer."""
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return {"type": "http.response.start", "status": status, "headers": encoded}

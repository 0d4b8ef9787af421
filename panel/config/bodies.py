"""Bodies whose sender doesn't say how long they are (RFC 9112, 7.1): whole before anybody looks, or refused.

Django reads as many bytes of a body as `Content-Length` says, so without one it would see none.
"""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from django.http import HttpResponse

from panel.gate.archives import ROUTES
from panel.http.problem import problem
from panel.images.archives import drain

#: As the front's `request_body`: of a longer one just this many bytes come.
LIMIT_BYTES = 2_000_000

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def whole(application: Application) -> Application:
    """`application` behind a look at each body of unknown length: read by us when the server says that it ends
    (`wsgi.input_terminated`) and it has less than `LIMIT_BYTES`, else answered with 411 or 413."""

    def serve(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH") or "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            return application(environ, start)
        refusal = _read(environ)
        if refusal is None:
            return application(environ, start)
        start(f"{refusal.status_code} {refusal.reason_phrase}", list(refusal.items()))
        return [refusal.content]

    return serve


def _read(environ: dict[str, Any]) -> HttpResponse | None:
    """Puts the body where a body of known length would be; or what to answer instead."""
    if not environ.get("wsgi.input_terminated"):
        return problem(411, "length_required", "The request says its length: Content-Length.")
    read = environ["wsgi.input"].read
    if environ.get("PATH_INFO") in ROUTES:
        drain(read)
        return problem(411, "length_required", "An archive comes with its length: Content-Length.")
    body = bytearray()
    # to its end, also of one that is as long as the front lets through: with something left unread the server
    # would close the connection before the front has read the answer, which made a 502 of it
    while len(body) <= LIMIT_BYTES and (piece := read(LIMIT_BYTES + 1 - len(body))):
        body += piece
    if len(body) >= LIMIT_BYTES:
        return problem(413, "too_long", "The body of a request has less than 2 MB here.")
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    return None

"""Bodies that come without a length are read to their end, refused ones as well: what is left unread makes the
server close the connection, and the front then says 502 in place of our answer."""

from io import BytesIO
from typing import Any

import pytest

from panel.config.bodies import LIMIT_BYTES, whole


class Body(BytesIO):
    is_at_its_end = False

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.is_at_its_end |= not piece
        return piece


@pytest.mark.parametrize(
    ("length", "status"), [(0, "200 OK"), (LIMIT_BYTES - 1, "200 OK"), (LIMIT_BYTES, "413 ")]
)
def test_it_is_read_to_its_end(length: int, status: str) -> None:
    """`LIMIT_BYTES` is what comes of a longer one: the front lets no more through."""
    said: list[str] = []
    seen: list[int] = []

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        seen.append(len(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
        start("200 OK", [])
        return [b""]

    body = Body(bytes(length))
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/environments",
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": body,
        "wsgi.input_terminated": True,
    }
    answer = list(whole(application)(environ, lambda status, headers: said.append(status)))
    assert said[0].startswith(status)
    assert body.is_at_its_end
    assert seen == ([length] if status == "200 OK" else [])
    assert (b"too_long" in b"".join(answer)) is (status != "200 OK")

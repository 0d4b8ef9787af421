"""A provider of single sign-on that answers with what it shouldn't: nobody waits for it, and nobody gets in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests

from panel.accounts import provider_session
from panel.accounts.provider_session import ProviderSession

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def _provider(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """Its address, and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            try:
                answer(self)
            except OSError:
                return  # nobody listens any more

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def _head(to: BaseHTTPRequestHandler, status: int = 200, **headers: str) -> None:
    to.send_response(status)
    for name, value in headers.items():
        to.send_header(name, value)
    to.end_headers()


def _endless(to: BaseHTTPRequestHandler) -> None:
    _head(to)
    while True:
        to.wfile.write(b" " * 65536)


def _dripping(to: BaseHTTPRequestHandler) -> None:
    _head(to)
    while True:
        to.wfile.write(b" ")
        to.wfile.flush()


def _elsewhere(to: BaseHTTPRequestHandler) -> None:
    _head(to, 302, Location="/inward")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("answer", [_endless, _dripping, _elsewhere])
def test_an_answer_without_end_or_from_elsewhere_is_given_up(
    answer: Answer, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if answer is _dripping:
        monkeypatch.setattr(provider_session, "DEADLINE_S", 0.2)
    with _provider(answer) as (url, asked), ProviderSession() as session:
        with pytest.raises(provider_session.Refused):
            session.request(method, f"{url}/token")
        assert asked == ["/token"]


def test_a_plain_answer_is_read_whole() -> None:
    def plain(to: BaseHTTPRequestHandler) -> None:
        _head(to)
        to.wfile.write(b'{"issuer": "me"}')

    with _provider(plain) as (url, _), ProviderSession() as session:
        assert session.get(url).json() == {"issuer": "me"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/token", "ftp://id.example/", "file:///etc/passwd"])
def test_a_provider_by_tls_names_no_address_without(url: str, settings: Any) -> None:
    """The ID token's signature isn't looked at: in clear, whoever is on the way could sign in as anybody."""
    settings.WADAH = settings.WADAH.model_copy(update={"oidc_url": "https://id.example"})
    with ProviderSession() as session, pytest.raises(requests.RequestException) as refused:
        session.get(url)
    assert "without TLS" in str(refused.value) or isinstance(refused.value, requests.exceptions.InvalidSchema)

"""A Git server that leads elsewhere: what it was given to be let in stays with it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runtime.builds import inside

_SHA = "1" * 40


def _line(text: str) -> str:
    return f"{len(text) + 4:04x}{text}"


_REFS = (
    f"{_line('# service=git-upload-pack' + chr(10))}0000"
    f"{_line(_SHA + ' HEAD' + chr(0) + 'symref=HEAD:refs/heads/main shallow' + chr(10))}"
    f"{_line(_SHA + ' refs/heads/main' + chr(10))}0000"
)


class _Server:
    """Wants a name and password first where it `challenges`; then leads to another, or has one branch whose
    commit never comes."""

    def __init__(self, address: str, *, leads_to: str = "", challenges: bool = False):
        self.given: list[str | None] = []
        given = self.given

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given.append(self.headers.get("Authorization"))
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if challenges and given[-1] is None:
                    return self._say(401, ("WWW-Authenticate", 'Basic realm="x"'))
                if leads_to:
                    return self._say(302, ("Location", leads_to + self.path))
                if "info/refs" not in self.path:
                    return self._say(500)
                return self._say(200, ("Content-Type", "application/x-git-upload-pack-advertisement"), _REFS)

            do_POST = do_GET

            def _say(self, status: int, header: tuple[str, str] = ("X-No", "more"), body: str = "") -> None:
                self.send_response(status)
                self.send_header(*header)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer((address, 0), Handler)
        self.url = f"http://{address}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def elsewhere() -> Iterator[_Server]:
    one = _Server("127.0.0.2")
    yield one
    one.server.shutdown()


@pytest.fixture
def asked_for(elsewhere: _Server) -> Iterator[_Server]:
    one = _Server("127.0.0.1", leads_to=elsewhere.url, challenges=True)
    yield one
    one.server.shutdown()


def test_a_token_does_not_go_along_with_a_redirect(
    asked_for: _Server, elsewhere: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SCRATCH", "CONTEXT", "KNOWN_HOSTS", "_DIAL", "_SSH"):
        monkeypatch.setattr(inside, name, str(tmp_path / name))
    (tmp_path / "SCRATCH").mkdir()
    wanted = {
        **{"url": f"{asked_for.url}/x.git", "branch": "main", "submodules": False, "insecure": True},
        **{"username": "", "token": "of:the@test/", "deploy_key": "", "dial": "", "known_hosts": ""},
        "host_key": "",
    }
    with pytest.raises(inside.Refused):
        inside.clone({"environment": {"GIT_CONFIG_GLOBAL": "/dev/null"}}, wanted)
    assert any(asked_for.given), "whom it is for has it"
    assert elsewhere.given and not any(elsewhere.given)

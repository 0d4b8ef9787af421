"""Many requests at once over several processes, through the real WSGI handler, on a database of their own.

Run as a program it is one of the processes: it reads batches as lines of JSON and writes the answers.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from panel.config.secrets import Secrets
from tests.support.postgres import postgresql
from tests.support.redis import redis_on

#: Two processes for each core of the smallest machine, with several threads each: enough to overlap.
PROCESSES = 4
THREADS = 8


@dataclass(frozen=True)
class Ask:
    """One request: who asks (a token), what, and the body."""

    method: str
    path: str
    body: Any = None
    token: str = ""
    key: str = ""
    """Idempotency-Key."""
    version: int | None = None
    """If-Match."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any

    @property
    def code(self) -> str:
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


class Crowd:
    """Processes that wait for batches."""

    def __init__(self, environment: dict[str, str], stack: ExitStack) -> None:
        command = [sys.executable, "-m", "tests.panel.support.crowd"]
        self._processes = [
            stack.enter_context(
                subprocess.Popen(
                    command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(PROCESSES)
        ]
        stack.callback(self._end)

    def _end(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()

    def all_at_once(self, asks: Sequence[Ask]) -> list[Answer]:
        """Spread over the processes, begun at the same moment; answers in no order."""
        begin = time.time() + 0.3
        for number, process in enumerate(self._processes):
            part = [vars(ask) for ask in asks[number :: len(self._processes)]]
            _send(process, {"begin": begin, "asks": part})
        return [Answer(**one) for process in self._processes for one in _receive(process)]

    def call(self, name: str, **arguments: Any) -> Any:
        """A function of `crowd_world`, in one of the processes."""
        _send(self._processes[0], {"call": name, "arguments": arguments})
        return _receive(self._processes[0])

    def call_in_all(self, name: str, **arguments: Any) -> list[Any]:
        """The same in every process, at once."""
        for process in self._processes:
            _send(process, {"call": name, "arguments": arguments})
        return [_receive(process) for process in self._processes]


def _send(process: "subprocess.Popen[str]", message: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()


def _receive(process: "subprocess.Popen[str]") -> Any:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "a process of the crowd has died"
    return json.loads(line)


@contextmanager
def crowd_on(backend: str) -> Iterator[Crowd]:
    """`sqlite` (a file, as an installation has it) or `postgresql`."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wadah-crowd-")))
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("WADAH_", "DJANGO_"))}
        environment |= {
            # what is tried is that nothing is given twice, and not how long a busy machine is waited for
            "WADAH_DATABASE_WAIT_S": "30",
            "WADAH_HOME": str(home),
            "WADAH_URL": "http://testserver",
            "DJANGO_SETTINGS_MODULE": "panel.config.settings",
            "WADAH_TENANT_OPEN_OPERATIONS": "100000",
        }
        environment.pop("DATABASE_URL", None)
        if backend == "postgresql":
            environment["DATABASE_URL"] = stack.enter_context(postgresql())
        stack.enter_context(redis_on(home / "run" / "redis.sock"))
        Secrets.ensure(home)
        crowd = Crowd(environment, stack)
        crowd.call("migrate")
        yield crowd


# in the processes ---------------------------------------------------------------------------------


def _main() -> None:
    import django

    django.setup()
    from django.core.wsgi import get_wsgi_application

    from tests.panel.support import crowd_world

    application = get_wsgi_application()
    answers, sys.stdout = sys.stdout, sys.stderr
    with ThreadPoolExecutor(THREADS) as pool:
        for line in sys.stdin:
            message = json.loads(line)
            if "call" in message:
                found = getattr(crowd_world, message["call"])(**message["arguments"])
            else:
                time.sleep(max(message["begin"] - time.time(), 0))
                asks = [Ask(**one) for one in message["asks"]]
                found = list(pool.map(lambda ask: _answer(application, ask), asks))
            answers.write(json.dumps(found) + "\n")
            answers.flush()


def _answer(application: Any, ask: Ask) -> dict[str, Any]:
    """As a web server would ask (PEP 3333)."""
    content = json.dumps(ask.body).encode() if ask.body is not None else b""
    parts = urlsplit(ask.path)
    seen: dict[str, str] = {}
    environ = {
        "REQUEST_METHOD": ask.method,
        "PATH_INFO": parts.path,
        "QUERY_STRING": parts.query,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(content)),
        "HTTP_HOST": "testserver",
        "HTTP_AUTHORIZATION": f"Bearer {ask.token}",
        "wsgi.input": io.BytesIO(content),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.version": (1, 0),
    }
    if ask.key:
        environ["HTTP_IDEMPOTENCY_KEY"] = ask.key
    if ask.version is not None:
        environ["HTTP_IF_MATCH"] = f'"{ask.version}"'
    response = application(environ, lambda status, _headers, _info=None: seen.update(status=status))
    try:
        body = b"".join(response)
    finally:
        response.close()
    try:
        parsed = json.loads(body) if body else None
    except ValueError:
        parsed = body.decode(errors="replace")[:2000]
    return {"status": int(seen["status"].split()[0]), "body": parsed}


if __name__ == "__main__":
    _main()

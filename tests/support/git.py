"""A Git server by HTTP on loopback: git's own http-backend behind a few lines of Python.

python3 git.py PORT DIRECTORY [USER:PASSWORD]
"""

import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    pair = ""

    def do_GET(self) -> None:
        wanted = "Basic " + base64.b64encode(self.pair.encode()).decode()
        if self.pair and self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        told = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": sys.argv[2],
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=told, check=False)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(fields.pop("Status", "200 OK").split(" ")[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


def commit(repository: Path, files: dict[str, str], *, branch: str = "main") -> str:
    """In a repository that is made where there is none; its hash."""

    def git(*words: str) -> str:
        how = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "protocol.file.allow=always"]
        done = subprocess.run(
            ["git", "-C", str(repository), *how, *words], capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()

    if not (repository / ".git").exists():
        repository.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", f"--initial-branch={branch}")
    for name, text in files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message=change")
    return git("rev-parse", "HEAD")


@contextmanager
def serving(directory: Path, port: int, enter: Sequence[str] = (), pair: str = "") -> Iterator[str]:
    """The address below which repositories of the directory are."""
    words = [*enter, sys.executable, __file__, str(port), str(directory), *([pair] if pair else [])]
    process = subprocess.Popen(words)
    try:
        look = [
            *enter,
            sys.executable,
            "-c",
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)",
        ]
        until = time.monotonic() + 30
        while subprocess.run(look, capture_output=True, check=False, timeout=30).returncode != 0:
            assert time.monotonic() < until
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(20)


if __name__ == "__main__":
    Handler.pair = sys.argv[3] if len(sys.argv) > 3 else ""
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()

"""Real servers on loopback that backups go to: OpenSSH's sshd, and moto in the place of S3."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from runtime.contract import S3Keys, S3Place, SftpLogin, SftpPlace
from runtime.node import Node

#: Of an account of root's that is there in the server's own mount namespace alone.
LOGIN = "of the account"


@dataclass(frozen=True)
class Beside:
    """The network that the node of a test calls the host's: the tests themselves are in the node's."""

    node: Node

    @property
    def words(self) -> list[str]:
        return ["nsenter", f"--net={self.node.host_network}"]

    def asked(self, *words: str) -> str:
        done = subprocess.run([*self.words, *words], capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    def free_port(self) -> int:
        source = "import socket; print(socket.create_server(('127.0.0.1', 0)).getsockname()[1])"
        return int(self.asked(sys.executable, "-c", source))

    def wait_for(self, port: int, process: "subprocess.Popen[bytes]") -> None:
        source = (
            "import socket, time\n"
            "for _ in range(1200):\n"
            f"    if socket.socket().connect_ex(('127.0.0.1', {port})) == 0: break\n"
            "    time.sleep(0.05)\n"
        )
        self.asked(sys.executable, "-c", source)
        assert process.poll() is None, "the server has ended"


def _key(path: Path, sort: str = "ed25519") -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", sort, "-N", "", "-C", "", "-f", path], check=True, timeout=60)
    return path.with_name(f"{path.name}.pub").read_text().strip()


@dataclass
class Sshd:
    """It serves files below a directory by SFTP, as root, by key or password."""

    home: Path
    beside: Beside
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.port = self.beside.free_port()
        self.public = _key(self.home / "login")
        (self.home / "allowed").write_text(self.public + "\n")
        self.host_key = self.new_host_key()

    @property
    def files(self) -> Path:
        return self.home / "files"

    @property
    def login(self) -> SftpLogin:
        return SftpLogin(private_key=(self.home / "login").read_text())

    def place(self, path: str) -> SftpPlace:
        return SftpPlace(host="127.0.0.1", port=self.port, user="root", path=path, is_inward=True)

    def new_host_key(self) -> str:
        for one in self.home.glob("host*"):
            one.unlink()
        self.host_key = _key(self.home / "host")
        return self.host_key

    def start(self) -> None:
        """In mounts of its own, where alone root has the password."""
        self.files.mkdir(exist_ok=True)
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"],
            input=LOGIN,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        (self.home / "shadow").write_text(f"root:{hashed}:19000:0:99999:7:::\nsshd:!:19000::::::\n")
        (self.home / "config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.home}/host\nPidFile none\n"
            f"AuthorizedKeysFile {self.home}/allowed\nStrictModes no\nPermitRootLogin yes\nUsePAM no\n"
            "PasswordAuthentication yes\nSubsystem sftp internal-sftp\nMaxStartups 100\n"
        )
        script = (
            f"mount --bind {self.home}/shadow /etc/shadow && mkdir -p /run/sshd &&"
            " mount -t tmpfs -o mode=755 none /run/sshd &&"
            f" exec /usr/sbin/sshd -D -e -f {self.home}/config"
        )
        self.process = subprocess.Popen(
            [*self.beside.words, "unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script],
            stdin=subprocess.DEVNULL,
            stderr=(self.home / "log").open("ab"),
            start_new_session=True,
        )
        self.beside.wait_for(self.port, self.process)

    def stop(self) -> None:
        """With whoever is served."""
        if self.process is not None:
            for pid in _group(self.process.pid):
                _kill(pid)
            self.process.wait(30)
            self.process = None


def _group(leader: int) -> list[int]:
    """The process and all below it: sessions of sshd have process groups of their own."""
    found, order = [leader], 0
    while order < len(found):
        try:
            below = Path(f"/proc/{found[order]}/task/{found[order]}/children").read_text().split()
        except OSError:
            below = []
        found += [int(one) for one in below]
        order += 1
    return found


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, 9)


@contextmanager
def sshd_in(node: Node, home: Path) -> Iterator[Sshd]:
    home.mkdir()
    one = Sshd(home, Beside(node))
    one.start()
    try:
        yield one
    finally:
        one.stop()


@dataclass
class S3:
    """What moto takes for S3, by a process of its own."""

    home: Path
    beside: Beside
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    keys: S3Keys = field(
        default_factory=lambda: S3Keys(access_key="AKIAEXAMPLE", secret_key="of the bucket".replace(" ", "-"))
    )
    has_tls: bool = False

    def __post_init__(self) -> None:
        self.port = self.beside.free_port()

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.has_tls else 'http'}://127.0.0.1:{self.port}"

    def place(
        self, bucket: str = "backups", *, is_inward: bool = True, ca: str = "", prefix: str = "of/acme"
    ) -> S3Place:
        return S3Place(endpoint=self.endpoint, bucket=bucket, prefix=prefix, is_inward=is_inward, ca=ca)

    def start(self) -> None:
        tls = (
            ["-s", "-c", str(self.home / "cert.pem"), "-k", str(self.home / "cert.key")] if self.has_tls else []
        )
        self.process = subprocess.Popen(
            [
                *self.beside.words,
                sys.executable,
                "-m",
                "moto.server",
                "-H",
                "127.0.0.1",
                "-p",
                str(self.port),
                *tls,
            ],
            stdin=subprocess.DEVNULL,
            stdout=(self.home / "log").open("ab"),
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.home)},
        )
        self.beside.wait_for(self.port, self.process)

    def make_bucket(self, name: str = "backups") -> None:
        self._curl("-X", "PUT", f"{self.endpoint}/{name}")

    def objects(self, bucket: str = "backups") -> str:
        return self._curl(f"{self.endpoint}/{bucket}")

    def buckets(self) -> str:
        return self._curl(f"{self.endpoint}/")

    def _curl(self, *words: str) -> str:
        vouched = ["--cacert", str(self.home / "cert.pem")] if self.has_tls else []
        return self.beside.asked("curl", "-sS", "--fail", *vouched, *words)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None


@contextmanager
def s3_in(node: Node, home: Path, *, has_tls: bool = False) -> Iterator[S3]:
    home.mkdir()
    one = S3(home, Beside(node), has_tls=has_tls)
    if has_tls:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", home / "cert.key", "-out", home / "cert.pem"],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
    one.start()
    try:
        yield one
    finally:
        one.stop()

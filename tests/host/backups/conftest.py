"""A node that gives a directory for backups, and what is asked of it."""

import hashlib
import os
import stat
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from runtime.contract import (
    BackUp,
    BackupMade,
    BackupSecrets,
    BackupSource,
    CheckTarget,
    EnvironmentSpec,
    ForgetBackup,
    JobOutcome,
    JobReport,
    JobSpec,
    JobWork,
    Locked,
    NodeLogin,
    Repository,
    S3Keys,
    SftpLogin,
    Subject,
    SubjectType,
)
from runtime.engine import Engine
from runtime.files import replace_file
from runtime.host import btrfs
from runtime.jobs.kinds import KINDS
from runtime.jobs.runner import Jobs
from runtime.node import Node
from runtime.resources.volume import RootVolume

PASSWORD = "of the tenant alone"


@pytest.fixture
def giving(node: Node, tmp_path: Path) -> Iterator[Node]:
    """The node of all tests, which gives a directory of this one."""
    settings = node.root / "node.json"
    before = settings.read_text()
    directory = tmp_path / "backups"
    directory.mkdir()
    changed = node.settings.model_copy(update={"backup_directory": str(directory)})
    replace_file(settings, changed.model_dump_json())
    if not node.report_key.exists():
        node.report_key.write_bytes(b"a key that the panel has too")
    yield replace(node, settings=changed)
    replace_file(settings, before)


@pytest.fixture
def engine(giving: Node) -> Engine:
    return Engine(giving)


@dataclass
class Desk:
    """Asks for jobs as a panel does."""

    node: Node
    repository: Repository = field(default_factory=lambda: Repository(tenant_id=uuid4(), name="nightly"))
    password: str = PASSWORD
    repository_id: str | None = None
    login: SftpLogin | S3Keys | NodeLogin | None = None

    @property
    def place(self) -> Path:
        given = self.node.settings.backup_directory
        assert given
        return Path(given) / str(self.repository.tenant_id) / self.repository.name

    @property
    def secrets(self) -> BackupSecrets:
        return BackupSecrets(password=self.password, login=self.login)

    def locked(self, about: str = "") -> Locked:
        key = self.node.report_key.read_bytes().strip()
        secrets = self.secrets.model_copy(update={"about": about})
        return secrets.locked(self.repository, key=key)

    def job(self, environment_id: UUID, work: JobWork) -> JobSpec:
        about = Subject(type=SubjectType.ENVIRONMENT, id=str(environment_id))
        return JobSpec(node=self.node.name, id=uuid4(), about=about, work=work, deadline_s=900)

    def to_back_up(self, spec: EnvironmentSpec, backup: UUID | None = None) -> JobSpec:
        work = BackUp(
            environment_id=spec.id,
            backup=backup or uuid4(),
            repository=self.repository,
            repository_id=self.repository_id,
            secrets=self.locked('{"name": "it"}'),
            tags={"environment": str(spec.id), "name": spec.name},
        )
        return self.job(spec.id, work)

    def done(self, job: JobSpec, tell: Callable[[JobReport], object] = lambda _: None) -> JobReport:
        report = Jobs(self.node, KINDS, tell).do(job)
        assert report is not None
        return report

    def back_up(self, spec: EnvironmentSpec) -> BackupMade:
        report = self.done(self.to_back_up(spec))
        assert report.outcome is JobOutcome.SUCCEEDED, f"{report.code}: {report.message}"
        assert report.backup is not None
        self.repository_id = report.backup.repository_id
        return report.backup

    def forget(self, spec: EnvironmentSpec, made: BackupMade, *more: BackupMade) -> JobReport:
        others = tuple(one.snapshot for one in more)
        work = ForgetBackup(
            repository=self.repository, secrets=self.locked(), snapshot=made.snapshot, others=others
        )
        return self.done(self.job(spec.id, work))

    def check(self) -> JobReport:
        work = CheckTarget(repository=self.repository, repository_id=self.repository_id, secrets=self.locked())
        return self.done(self.job(self.repository.tenant_id, work))

    def source(self, made: BackupMade) -> BackupSource:
        return BackupSource(repository=self.repository, secrets=self.locked(), snapshot=made.snapshot)


@pytest.fixture
def desk(giving: Node) -> Desk:
    return Desk(giving)


def left(node: Node) -> list[str]:
    """What backups left in the pool and beside it."""
    directory = node.store / "backups"
    there = [one.name for one in directory.iterdir()] if directory.is_dir() else []
    return [
        *there,
        *(one.name for one in node.mounts.glob("backup-*")),
        *(one.name for one in node.mounts.glob("import-*")),
    ]


# a tree with all that a file system can hold ------------------------------------------------------

_NET_BIND = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
#: POSIX ACL version 2: owner rw, user 1000 r, group r, mask r, others nothing.
_ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, perm, who)
    for tag, perm, who in (
        (1, 6, 2**32 - 1),
        (2, 4, 1000),
        (4, 4, 2**32 - 1),
        (16, 4, 2**32 - 1),
        (32, 0, 2**32 - 1),
    )
)


def fill(node: Node, spec: EnvironmentSpec, small_files: int = 0) -> Path:
    """A directory of the environment with it, as root inside would have made it."""
    top = node.root_volume(spec.id) / "srv"
    top.mkdir(exist_ok=True)
    return fill_tree(top, [btrfs.qgroup_id(1, RootVolume.number(spec.id))], small_files)


def fill_tree(top: Path, group: list[int], small_files: int = 0) -> Path:
    """`small_files`: so many of a few bytes beside all else, 1,000 in a directory."""
    for begin in range(0, small_files, 1000):
        (top / f"d{begin}").mkdir()
        for number in range(begin, begin + 1000):
            fd = os.open(f"{top}/d{begin}/{number}", os.O_WRONLY | os.O_CREAT, 0o600 | number & 0o077)
            os.write(fd, b"%d" % (number % 977))
            os.close(fd)
    btrfs.create_subvolume(top / "outer", group)
    btrfs.create_subvolume(top / "outer" / "inner", group)
    (top / "outer/inner/deep").write_bytes(b"deep")
    for number in range(200):
        (top / f"file{number}").write_bytes(os.urandom(3000))
    (top / "one").write_text("shared")
    os.link(top / "one", top / "two")
    (top / b"name\xff\n".decode(errors="surrogateescape")).write_bytes(b"odd")
    with (top / "holes").open("wb") as holes:
        holes.truncate(64 * 2**20)
        holes.seek(32 * 2**20)
        holes.write(b"island")
    for name in ("plain", "cap", "acl", "setuid", "owned"):
        (top / name).write_bytes(name.encode() * 100)
        (top / name).chmod(0o640)
    os.setxattr(top / "plain", "user.note", b"kept")
    os.chown(top / "owned", 1000, 65_000)
    (top / "setuid").chmod(0o4755)
    os.setxattr(top / "cap", "security.capability", _NET_BIND)
    os.setxattr(top / "acl", "system.posix_acl_access", _ACL)
    os.symlink("../etc/passwd", top / "link")
    os.mkfifo(top / "fifo", 0o600)
    os.utime(top / "plain", ns=(1, 1_600_000_000_123_456_789))
    return top


def hash_of(top: Path) -> dict[str, tuple[object, ...]]:
    """What there is to each path."""
    found, first = dict[str, tuple[object, ...]](), dict[int, str]()
    for directory, names, files in os.walk(top):
        for name in (*names, *files):
            path = f"{directory}/{name}"
            known, inside = os.lstat(path), path[len(str(top)) + 1 :]
            attributes = {
                one: os.getxattr(path, one, follow_symlinks=False)
                for one in os.listxattr(path, follow_symlinks=False)
                if not one.startswith(("trusted.", "btrfs."))
            }
            is_file = not stat.S_ISDIR(known.st_mode)
            found[inside] = (
                oct(known.st_mode), known.st_uid, known.st_gid, _content(path, known.st_mode), attributes,
                known.st_mtime_ns if is_file else 0, known.st_size if is_file else 0,
                known.st_nlink if is_file else 0,
                first.setdefault(known.st_ino, inside) if is_file and known.st_nlink > 1 else "",
            )  # fmt: skip
    return found


def _content(path: str, mode: int) -> str:
    """The target of a link, and what identifies a file's bytes."""
    if stat.S_ISLNK(mode):
        return os.readlink(path)
    if not stat.S_ISREG(mode):
        return ""
    with open(path, "rb", buffering=0) as file:
        return hashlib.sha256(file.read()).hexdigest()

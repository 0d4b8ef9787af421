"""What is handed in as a file: a context that is built, and an image that is taken as it is."""

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.contract import JobOutcome, JobReport
from tests.host.builds.conftest import Build
from tests.support.registry import Hub

Log = Callable[[JobReport], str]


def packed(path: Path, *members: tuple[str, bytes, bytes]) -> Path:
    """`(name, type, content or target)` of each."""
    with tarfile.open(path, "w:gz") as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
            else:
                info.linkname = content.decode()
            archive.addfile(info, io.BytesIO(content))
    return path


def test_a_context_in_an_archive(build: Build, hub: Hub, log_of: Log, tmp_path: Path) -> None:
    text = f"FROM {hub.host}/lib/base:1\nCOPY a /a\nRUN cat /a\n".encode()
    members = [("Dockerfile", tarfile.REGTYPE, text), ("a", tarfile.REGTYPE, b"of the archive\n")]
    report = build(packed(tmp_path / "a.tgz", *members, ("pipe", tarfile.FIFOTYPE, b"")))
    assert report.outcome is JobOutcome.SUCCEEDED, log_of(report)
    assert "of the archive" in log_of(report)


@pytest.mark.parametrize(
    "members",
    [
        [("../../out", tarfile.REGTYPE, b"x")],
        [("a", tarfile.SYMTYPE, b"/etc"), ("a/passwd", tarfile.REGTYPE, b"x")],
        [("a", tarfile.LNKTYPE, b"../../../etc/passwd"), ("Dockerfile", tarfile.SYMTYPE, b"a")],
        [("Dockerfile", tarfile.SYMTYPE, b"/proc/self/environ")],
    ],
    ids=["up", "through a link", "hard link", "link"],
)
def test_what_leads_out_is_refused(
    build: Build, tmp_path: Path, members: list[tuple[str, bytes, bytes]]
) -> None:
    report = build(packed(tmp_path / "a.tgz", *members))
    assert report.outcome is JobOutcome.FAILED
    assert report.code in ("bad_context", "leads_out", "no_dockerfile"), report.message.told()


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_an_image_in_an_archive(build: Build, hub: Hub, tmp_path: Path, form: str) -> None:
    file = tmp_path / "image.tar"
    words = ["skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"]
    source = f"docker://{hub.host}/lib/base:1"
    subprocess.run([*hub.enter, *words, source, f"{form}:{file}:web:1"], check=True, timeout=60)
    report = build(file, is_image=True)
    assert report.outcome is JobOutcome.SUCCEEDED, report.message.told()
    assert report.built is not None
    look = [
        "skopeo",
        "inspect",
        "--raw",
        "--tls-verify=false",
        f"docker://{hub.host}/made/web@{report.built.digest}",
    ]
    assert subprocess.run([*hub.enter, *look], check=False, timeout=60).returncode == 0


def test_what_is_no_image(build: Build, tmp_path: Path) -> None:
    report = build(packed(tmp_path / "a.tgz", ("x", tarfile.REGTYPE, b"x")), is_image=True)
    assert (report.outcome, report.code) == (JobOutcome.FAILED, "no_image")

"""Options of a file system in memory, as `docker run --tmpfs` takes them."""

import pytest

from runtime.contract.tmpfs import Tmpfs


@pytest.mark.parametrize(
    ("text", "path", "options"),
    [
        ("/run", "/run", ["nosuid", "nodev", "mode=1777"]),
        (
            "/run:rw,noexec,nosuid,size=65536k",
            "/run",
            ["nosuid", "nodev", "mode=1777", "rw", "noexec", "size=65536k"],
        ),
        ("/a/b:mode=0750,uid=7,gid=8", "/a/b", ["nosuid", "nodev", "mode=0750", "uid=7", "gid=8"]),
        ("/t:size=50%", "/t", ["nosuid", "nodev", "mode=1777", "size=50%"]),
    ],
)
def test_what_docker_takes(text: str, path: str, options: list[str]) -> None:
    found = Tmpfs.parse(text)
    assert (found.path, found.mount_options) == (path, options)


@pytest.mark.parametrize(
    "text",
    [
        *("run", "/", "/proc/x", "/dev", "/sys/fs", "/a/../b", "/a,size=1m", ""),
        *("/a:", "/a:suid", "/a:dev", "/a:size=0", "/a:size=1e9", "/a:size=200%", "/a:mode=9", "/a:mode=4755"),
        *(
            "/a:uid=65536",
            "/a:uid=-1",
            "/a:uid=\u0661",
            "/a:size=1\u0661m",
            "/a:mpol=bind",
            "/a:size",
            "/a:size=1m,,noexec",
            "/a:x\n",
            "/a\n/b",
            "/a\x7f",
            "/a:b:size=1m",
        ),
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a tmpfs has"):
        Tmpfs.parse(text)

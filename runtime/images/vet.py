"""Run by `unpack`, inside the confined container, with nothing but Python's own library: looks at every entry
of a tar stream, hands the same bytes to tar(1), and says in one line of JSON how it ended.

Whatever this reads is hostile. It decides what is *said* about an archive; what an archive can *do* is
decided by the container around it, so a stream that the two parsers read differently gains nothing.

    python3 -I -c SOURCE '{"unpack": [...], "entries": ..., "bytes": ..., "stream_bytes": ...}'
"""

import contextlib
import json
import subprocess
import sys
import tarfile
import threading
from typing import IO, Any, cast

DEEPEST, LONGEST = 256, 4096
HIGHEST_ID = 65535
#: Regular (old and new), hard and symbolic link, directory, FIFO, contiguous, and GNU's sparse.
KINDS = frozenset(b"0 \0 1 2 5 6 7 S".split(b" "))


class Refused(Exception):
    """By the name of its sentence in `runtime.contract.words.images`, with the values of that."""

    def __init__(self, sentence: str, /, **values: str | int):
        super().__init__(sentence)
        self.told = sentence, values


class Tee:
    """Reads the stream, counts it, and passes it on."""

    def __init__(self, source: IO[bytes], to: IO[bytes], most: int):
        self.source, self.to, self.left, self.most = source, to, most, most
        self.is_broken = False

    def read(self, size: int) -> bytes:
        data = self.source.read(min(size, 1 << 20))
        self.left -= len(data)
        if self.left < 0:
            raise Refused("bomb", mib=self.most >> 20)
        if not self.is_broken:
            try:
                self.to.write(data)
            except BrokenPipeError:
                self.is_broken = True
        return data


def shown(name: str) -> str:
    return ascii(name)[1:-1][:120]


def check(member: tarfile.TarInfo, links: set[str]) -> None:
    name = member.name
    parts = name.split("/")
    if name.startswith("/"):
        raise Refused("absolute_path", name=shown(name))
    if ".." in parts:
        raise Refused("leads_out", name=shown(name))
    if len(name.encode(errors="surrogateescape")) > LONGEST or len(parts) > DEEPEST:
        raise Refused("too_deep", name=shown(name), bytes=LONGEST, depth=DEEPEST)
    if member.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        raise Refused("device_node", name=shown(name))
    if member.type not in KINDS:
        raise Refused("odd_kind", name=shown(name))
    if member.size < 0:
        raise Refused("negative_size", name=shown(name))
    if not 0 <= member.uid <= HIGHEST_ID or not 0 <= member.gid <= HIGHEST_ID:
        raise Refused("odd_owner", name=shown(name), owner=f"{member.uid}:{member.gid}")
    clean = "/".join(part for part in parts if part not in ("", "."))
    if member.islnk() and (member.linkname.startswith("/") or ".." in member.linkname.split("/")):
        raise Refused("hard_link_outside", name=shown(name), target=shown(member.linkname))
    pieces = clean.split("/")
    for depth in range(1, len(pieces)):
        if "/".join(pieces[:depth]) in links:
            raise Refused("behind_link", name=shown(name))
    if member.issym():
        links.add(clean)
    else:
        links.discard(clean)


def look(tee: Tee, entries: int, most_bytes: int) -> tuple[int, int]:
    count = held = 0
    links: set[str] = set()
    with tarfile.open(fileobj=cast(Any, tee), mode="r|", errorlevel=0) as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]
            count += 1
            held += max(0, member.size)
            check(member, links)
            if count > entries:
                raise Refused("too_many_entries", entries=entries)
            if held > most_bytes:
                raise Refused("too_large", mib=most_bytes >> 20)
    while data := tee.read(1 << 20):
        if data.strip(b"\0"):
            raise Refused("more_behind")
    return count, held


def run(limits: dict[str, object]) -> dict[str, object]:
    source: IO[bytes] = sys.stdin.buffer
    packer = None
    if limits["unpack"]:
        packer = subprocess.Popen(limits["unpack"], stdin=0, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # type: ignore[call-overload]
        source = packer.stdout
    tar = subprocess.Popen(
        [
            *("tar", "--extract", "--file=-", "--directory=/tree", "--numeric-owner", "--same-owner"),
            *("--preserve-permissions", "--xattrs", "--xattrs-include=user.*"),
            *("--xattrs-include=security.capability", "--delay-directory-restore", "--warning=no-timestamp"),
            *("--warning=no-unknown-keyword", "--warning=no-alone-zero-block"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
    )
    assert tar.stdin and tar.stderr
    said: list[bytes] = []

    def listen(stream: IO[bytes]) -> None:
        for line in iter(lambda: stream.readline(4096), b""):
            if len(said) < 3:
                said.append(line)

    listener = threading.Thread(target=listen, args=(tar.stderr,), daemon=True)
    listener.start()
    tee = Tee(source, tar.stdin, int(str(limits["stream_bytes"])))
    try:
        count, held = look(tee, int(str(limits["entries"])), int(str(limits["bytes"])))
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as odd:
        if packer is not None and packer.wait(60) != 0:
            raise Refused("damaged") from odd
        raise Refused("cut_off", reason=shown(str(odd))) from odd
    if packer is not None and packer.wait(60) != 0:
        raise Refused("damaged")
    with contextlib.suppress(BrokenPipeError):
        tar.stdin.close()
    status = tar.wait(600)
    listener.join(5)
    if status != 0 or tee.is_broken:
        reason = said[0].decode(errors="replace").strip().removeprefix("tar: ") if said else f"code {status}"
        raise Refused("not_unpacked", reason=shown(reason))
    if count == 0:
        raise Refused("empty")
    return {"entries": count, "bytes": held}


if __name__ == "__main__":
    try:
        answer: dict[str, object] = run(json.loads(sys.argv[1]))
    except Refused as refusal:
        answer = {"refused": refusal.told}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    # what still runs ends with this process: it is the first of its namespace

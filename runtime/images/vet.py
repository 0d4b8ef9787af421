"""Run by `unpack`, inside the confined container, with nothing but Python's own library: looks at every entry
of a tar stream, hands the same bytes to tar(1), and says in one line of JSON how it ended.

Whatever this reads is hostile. It decides what is *said* about an archive; what an archive can *do* is
decided by the container around it, so a stream that the two parsers read differently gains nothing.

    python3 -I -c SOURCE '{"unpack": [...], "entries": ..., "bytes": ..., "stream_bytes": ...}'
"""

import contextlib
import json
import os
import struct
import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import IO, Any, ClassVar, cast

DEEPEST, LONGEST = 256, 4096
HIGHEST_ID = 65535
#: Regular (old and new), hard and symbolic link, directory, FIFO, contiguous, and GNU's sparse.
KINDS = frozenset(b"0 \0 1 2 5 6 7 S".split(b" "))
#: Not passed on: nodes of devices, since /dev is made at the start, and the label of a GNU volume.
LEFT_OUT = frozenset((tarfile.CHRTYPE, tarfile.BLKTYPE, b"V"))


class Refused(Exception):
    """By the name of its sentence in `runtime.contract.words.images`, with the values of that."""

    def __init__(self, sentence: str, /, **values: str | int):
        super().__init__(sentence)
        self.told = sentence, values


class Tee:
    """Reads the stream, counts it, and passes on what is decided to be passed on."""

    def __init__(self, source: IO[bytes], to: IO[bytes], most: int):
        self.source, self.to, self.left, self.most = source, to, most, most
        self.is_broken = self.is_over = self.has_lost = False
        """Nobody reads it any more; all entries are through; an entry didn't reach who reads."""
        self._undecided = bytearray()
        self._begin = self._end = 0
        """Of the stream: where what is undecided begins, and up to where was decided last."""
        self._keeps = True

    def read(self, size: int) -> bytes:
        data = self.source.read(min(size, 1 << 20))
        self.left -= len(data)
        if self.left < 0:
            raise Refused("bomb", mib=self.most >> 20)
        self._undecided += data
        self._go_on()
        return data

    def decide(self, end: int, keeps: bool) -> None:
        """All up to this place of the stream, read or not, is passed on or left out."""
        self._end, self._keeps = end, keeps
        self._go_on()

    def _go_on(self) -> None:
        count = min(len(self._undecided), self._end - self._begin)
        if count <= 0:
            return
        if self._keeps and not self.is_broken:
            try:
                self.to.write(self._undecided[:count])
            except BrokenPipeError:
                self.is_broken, self.has_lost = True, not self.is_over
        del self._undecided[:count]
        self._begin += count


def shown(name: str) -> str:
    return ascii(name)[1:-1][:120]


def plain(name: str) -> str:
    """Relative to the root, as tar(1) takes it: without `/` in front."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


class Acls:
    """Access control lists (acl(5)) of the entries, put on when all is unpacked: they name users and groups of
    the tree's own /etc, and tar(1) knows only those of where it runs."""

    KINDS = ("access", "default")
    #: In the order that the kernel wants: tag of a bare entry, tag of one with a name.
    TAGS: ClassVar = {"user": (1, 2), "group": (4, 8), "mask": (16, 16), "other": (32, 32)}

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, str]] = {}

    def note(self, member: tarfile.TarInfo) -> None:
        texts = {kind: member.pax_headers.get(f"SCHILY.acl.{kind}", "") for kind in self.KINDS}
        if any(texts.values()) and (member.isreg() or member.isdir()):
            self._kept[plain(member.name)] = texts

    def put_on(self, tree: str) -> None:
        ids = {"user": _ids(f"{tree}/etc/passwd"), "group": _ids(f"{tree}/etc/group")}
        for name, texts in self._kept.items():
            for kind, text in texts.items():
                if packed := self._packed(text, ids):
                    with contextlib.suppress(OSError):
                        attribute = f"system.posix_acl_{kind}"
                        os.setxattr(f"{tree}/{name}", attribute, packed, follow_symlinks=False)

    def _packed(self, text: str, ids: dict[str, dict[str, int]]) -> bytes:
        """As the kernel takes it. Who isn't known is left out; the rest holds."""
        entries = []
        for line in text.replace(",", "\n").splitlines():
            words = line.partition("#")[0].strip().split(":")
            if len(words) < 3 or words[0] not in self.TAGS:
                continue
            name = words[3] if len(words) > 3 and words[3].isdigit() else words[1]
            number = int(name) if name.isdigit() else ids.get(words[0], {}).get(name)
            if name and (number is None or number > HIGHEST_ID):
                continue
            rights = sum(bit for letter, bit in (("r", 4), ("w", 2), ("x", 1)) if letter in words[2])
            tag = self.TAGS[words[0]][bool(name)]
            entries.append((tag, 0xFFFFFFFF if number is None else number, rights))
        packed = (struct.pack("<HHI", tag, rights, number) for tag, number, rights in sorted(set(entries)))
        return struct.pack("<I", 2) + b"".join(packed) if entries else b""


def _ids(file: str) -> dict[str, int]:
    """By the names of passwd(5) or group(5); none when there is no such file."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError), Path(file).open("rb") as lines:
        for line in lines.read(1 << 20).decode(errors="replace").splitlines():
            words = line.split(":")
            if len(words) > 2 and words[2].isdigit():
                found.setdefault(words[0], int(words[2]))
    return found


def check(member: tarfile.TarInfo, links: set[str]) -> None:
    name = member.name
    parts = name.split("/")
    if ".." in parts:
        raise Refused("leads_out", name=shown(name))
    if len(name.encode(errors="surrogateescape")) > LONGEST or len(parts) > DEEPEST:
        raise Refused("too_deep", name=shown(name), bytes=LONGEST, depth=DEEPEST)
    if member.type not in KINDS | LEFT_OUT:
        raise Refused("odd_kind", name=shown(name))
    if member.size < 0:
        raise Refused("negative_size", name=shown(name))
    if not 0 <= member.uid <= HIGHEST_ID or not 0 <= member.gid <= HIGHEST_ID:
        raise Refused("odd_owner", name=shown(name), owner=f"{member.uid}:{member.gid}")
    clean = plain(name)
    if member.islnk() and ".." in member.linkname.split("/"):
        raise Refused("hard_link_outside", name=shown(name), target=shown(member.linkname))
    pieces = clean.split("/")
    for depth in range(1, len(pieces)):
        if "/".join(pieces[:depth]) in links:
            raise Refused("behind_link", name=shown(name))
    if member.issym():
        links.add(clean)
    else:
        links.discard(clean)


def look(tee: Tee, acls: Acls, entries: int, most_bytes: int) -> dict[str, object]:
    count = held = devices = 0
    root_mode = None
    links: set[str] = set()
    left_out: set[str] = set()
    with tarfile.open(fileobj=cast(Any, tee), mode="r|", errorlevel=0) as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]
            count += 1
            held += max(0, member.size)
            check(member, links)
            name = plain(member.name)
            is_left_out = member.type in LEFT_OUT or (member.islnk() and plain(member.linkname) in left_out)
            if is_left_out:
                left_out.add(name)
                devices += member.type != b"V"
            else:
                acls.note(member)
            if name == "":
                root_mode = member.mode & 0o7777
            tee.decide(archive.offset, not is_left_out)
            if count > entries:
                raise Refused("too_many_entries", entries=entries)
            if held > most_bytes:
                raise Refused("too_large", mib=most_bytes >> 20)
    tee.is_over = True  # what follows is padding, which tar(1) needn't read
    tee.decide(sys.maxsize, True)
    while data := tee.read(1 << 20):
        if data.strip(b"\0"):
            raise Refused("more_behind")
    return {"entries": count, "bytes": held, "devices": devices, "root_mode": root_mode}


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
    acls = Acls()
    try:
        seen = look(tee, acls, int(str(limits["entries"])), int(str(limits["bytes"])))
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
    if status != 0 or tee.has_lost:
        reason = said[0].decode(errors="replace").strip().removeprefix("tar: ") if said else f"code {status}"
        raise Refused("not_unpacked", reason=shown(reason))
    acls.put_on("/tree")
    if seen["entries"] == 0:
        raise Refused("empty")
    return seen


if __name__ == "__main__":
    try:
        answer: dict[str, object] = run(json.loads(sys.argv[1]))
    except Refused as refusal:
        answer = {"refused": refusal.told}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    # what still runs ends with this process: it is the first of its namespace

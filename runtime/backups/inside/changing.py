"""What is done with a repository: opened, backed up to, forgotten from, checked, restored from."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.backups.inside.ground import (
    DISK,
    MOST_SAID,
    NOTES,
    REPOSITORY,
    TARGET,
    Refused,
    environment,
    refusal_of,
    restic,
    say,
    shown_key,
    words_of,
)

#: By one prune, during which nobody else works on the repository; as restic takes it.
MOST_REPACKED = "4G"
#: Of data, by one check; as restic takes it.
MOST_CHECKED = "512M"
#: What may have had holes is looked through for them; shorter files hardly gain.
LEAST_HOLED_BYTES = 2**20
#: More than a container of ours ever begins before restic.
_PIDS = 40


def opened(asked: dict[str, Any]) -> str:
    """The id of the repository; made where it may be. Raises `Refused` for another one than is known."""
    try:
        found = json.loads(restic(asked, "cat", "config"))["id"]
    except Refused as refused:
        if refused.told[0] != "no_repository" or not asked["may_make"]:
            raise
        if asked["repository"] == REPOSITORY and any(
            one.is_file()
            for part in ("data", "snapshots", "index")
            for one in Path(REPOSITORY, part).rglob("*")
        ):
            raise
        refuse_without_bucket(asked)
        shutil.rmtree(Path(REPOSITORY, "keys"), ignore_errors=True)  # of a making that was cut off here
        restic(asked, "init")
        found = json.loads(restic(asked, "cat", "config"))["id"]
    if asked["repository_id"] and found != asked["repository_id"]:
        raise Refused("other_repository")
    return str(found)


def refuse_without_bucket(asked: dict[str, Any]) -> None:
    """restic would make one, of nobody's choosing. Where the region is given it looks for no bucket, only for
    what is in it, and a server says the same of both: so it is asked without. A no-op of no bucket."""
    if not asked["repository"].startswith("s3:"):
        return
    others = {name: value for name, value in asked["environment"].items() if name != "AWS_DEFAULT_REGION"}
    try:
        restic({**asked, "environment": others}, "cat", "config")
    except Refused as refused:
        if refused.told[0] == "no_bucket":
            raise


def unlock(asked: dict[str, Any]) -> None:
    """Locks of one that was cut off go: its host had the name of this one, and its process isn't there. Restic
    asks by number, so that of nobody here may be the same."""
    for _ in range(_PIDS):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    restic(asked, "unlock")


def unlock_alone(asked: dict[str, Any]) -> dict[str, Any]:
    """A no-op where there is no repository."""
    try:
        unlock(asked)
    except Refused as refused:
        if refused.told[0] != "no_repository":
            raise
    return {}


def found(asked: dict[str, Any]) -> list[str]:
    """Snapshots of this backup: of a try that was cut off after it."""
    listed = json.loads(restic(asked, "snapshots", "--tag", f"backup={asked['backup']}") or "[]") or []
    return [str(one["id"]) for one in listed]


def back_up(asked: dict[str, Any]) -> dict[str, Any]:
    """Each call of restic derives the key anew, which is made to take its time: so no more than are needed."""
    if asked["again"]:
        take_back(asked)
    repository = opened(asked)
    tags = [word for name, value in asked["tags"].items() for word in ("--tag", f"{name}={value}")]
    words = words_of(asked, "backup", "--host", asked["host"], *tags, DISK, NOTES)
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(asked),
        text=True,
        errors="replace",
    )
    summary, said = None, ""
    for line in lines_of(process):
        try:
            told = json.loads(line)
            kind = told["message_type"]
        except (ValueError, KeyError, TypeError):
            said = (said + line)[-MOST_SAID:]
            continue
        if kind == "status":
            say(share=told.get("percent_done", 0), bytes=told.get("bytes_done", 0))
        elif kind == "summary":
            summary = told
        elif kind == "error":
            said = (said + line)[-MOST_SAID:]
    status = process.wait()
    if status or summary is None:
        if status == 3:
            raise Refused("files_not_read", said)
        raise refusal_of(said, status)
    return {
        "snapshot": summary["snapshot_id"],
        "repository_id": repository,
        "bytes": summary["total_bytes_processed"],
        "added_bytes": summary["data_added"],
        "files": summary["total_files_processed"],
        **shown_key(asked),
    }


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """Reached, opened, made where there is none, and written to: restic locks what it lists."""
    repository = opened(asked)
    restic(asked, "snapshots", "--latest", "1")
    return {"repository_id": repository, **shown_key(asked)}


def lines_of(process: "subprocess.Popen[str]") -> Iterator[str]:
    assert process.stdout is not None
    while line := process.stdout.readline(64 * 1024):
        yield line


def forget(asked: dict[str, Any]) -> dict[str, Any]:
    """A no-op for those that aren't there any more, but for the room: of which one prune makes so much at most
    as keeps others from the repository for minutes, not hours. The next one goes on."""
    if asked["again"]:
        unlock(asked)
    restic(asked, "forget", "--prune", "--max-repack-size", MOST_REPACKED, *asked["snapshots"])
    return {}


def take_back(asked: dict[str, Any]) -> dict[str, Any]:
    """What a backup that came to no end left: its locks, and its name. Its data serve the next one, or go with
    the next prune. A no-op where there is no repository."""
    try:
        unlock(asked)
    except Refused as refused:
        if refused.told[0] != "no_repository":
            raise
        return {}
    left = found(asked)
    if left:
        restic(asked, "forget", *left)
    return {}


def list_(asked: dict[str, Any]) -> dict[str, Any]:
    return {"snapshots": json.loads(restic(asked, "snapshots") or "[]") or []}


def check(asked: dict[str, Any]) -> dict[str, Any]:
    """Its structure, and of what it holds a part drawn by lot."""
    if asked["again"]:
        unlock(asked)
    try:
        restic(asked, "check", f"--read-data-subset={MOST_CHECKED}")
    except Refused as refused:
        name, said = refused.told
        if name == "tool_refused":  # it counts what it found amiss, and names no single cause
            raise Refused("repository_damaged", said) from refused
        raise
    return {}


def about(asked: dict[str, Any]) -> dict[str, Any]:
    return {"about": restic(asked, "dump", asked["snapshot"], f"{NOTES}/environment.json")}


def restore(asked: dict[str, Any]) -> dict[str, Any]:
    if asked["again"]:
        unlock(asked)
    restic(asked, "restore", asked["snapshot"], "--target", TARGET, "--include", DISK)
    dig(Path(TARGET + DISK))
    return {}


def dig(top: Path) -> None:
    """Holes, which this version of restic fills: a file of zeros takes no room again. Times stay; what has
    privileges is left, since writing would take them from it."""
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)  # noqa: PTH118 (many)
            known = os.lstat(path)
            if known.st_mode & 0o170000 != 0o100000 or known.st_size < LEAST_HOLED_BYTES:
                continue
            if known.st_mode & 0o6000 or "security.capability" in os.listxattr(path, follow_symlinks=False):
                continue
            subprocess.run(["/usr/bin/fallocate", "--dig-holes", "--", path], check=False, capture_output=True)
            os.utime(path, ns=(known.st_atime_ns, known.st_mtime_ns), follow_symlinks=False)

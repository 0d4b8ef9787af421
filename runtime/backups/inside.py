"""Run by `repository`, inside a confined container, with nothing but Python's own library: has restic work on a
repository, and says in lines of JSON how far it is and what came of it.

What opens the repository comes on standard input, and goes to restic by its environment: it is on no command
line and in no file. Whatever this reads may be hostile. What comes out is looked at again outside.

    python3 -I -S -c SOURCE < '{"task": "back_up", …}'
"""

import json
import os
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

REPOSITORY = "/repository"
#: Where each backup has its files, so that the next one finds the last one's.
DISK, NOTES = "/disk", "/wadah"
TARGET = "/target"
SCRATCH = "/tmp"  # noqa: S108 (of this container alone)
#: Of ssh, by which restic asks an SFTP server.
SSH_CONFIG, KNOWN_HOSTS, SSH_LOG = (f"{SCRATCH}/{name}" for name in ("ssh_config", "known_hosts", "ssh.log"))
#: Of the end of what restic said.
MOST_SAID = 2000
#: By one prune, during which nobody else works on the repository; as restic takes it.
MOST_REPACKED = "4G"
#: Of data, by one check; as restic takes it.
MOST_CHECKED = "512M"
#: What may have had holes is looked through for them; shorter files hardly gain.
LEAST_HOLED_BYTES = 2**20
#: Somebody else's lock is waited for so long: an hour's prune of a large repository isn't.
LOCKED_S, TURN_S = 600.0, 3.0
#: Of each call, where somebody waits to hear what a target is like; restic tries for longer by itself.
CHECKED_S = 90.0
#: More than a container of ours ever begins before restic.
_PIDS = 40


class Refused(Exception):
    """By the name of its sentence in `runtime.contract.words.backups`, with what restic said."""

    def __init__(self, sentence: str, said: str = ""):
        super().__init__(sentence)
        self.told = sentence, said[-MOST_SAID:]


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def words_of(asked: dict[str, Any], *words: str) -> list[str]:
    return ["/usr/bin/restic", "--no-cache", "--json", *asked["options"], *words]


def environment(asked: dict[str, Any]) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": SCRATCH,
        "TMPDIR": SCRATCH,
        "LC_ALL": "C.UTF-8",
        "RESTIC_REPOSITORY": asked["repository"],
        "RESTIC_PASSWORD": asked["password"],
        "RESTIC_PROGRESS_FPS": "2",
        "GOGC": "40",
        **asked["environment"],
    }


def lay_out(asked: dict[str, Any]) -> None:
    """What restic's helpers read: in memory, for this user alone."""
    for path, text in asked["files"].items():
        Path(path).write_text(text)  # under main's umask
        Path(path).chmod(0o700)


def shown_key(asked: dict[str, Any]) -> dict[str, str]:
    """The key that a server showed, where none was known; empty else."""
    if KNOWN_HOSTS not in asked["files"] or asked["files"][KNOWN_HOSTS]:
        return {}
    lines = Path(KNOWN_HOSTS).read_text().splitlines()
    return {"host_key": lines[0].partition(" ")[2]} if lines else {}


def restic(asked: dict[str, Any], *words: str) -> str:
    """What it printed. Raises `Refused`; waits for who has locked the repository."""
    until, has_unlocked = time.monotonic() + LOCKED_S, False
    while True:
        try:
            done = subprocess.run(
                words_of(asked, *words),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=environment(asked),
                check=False,
                text=True,
                errors="replace",
                timeout=CHECKED_S if asked["task"] == "look" else None,
            )
        except subprocess.TimeoutExpired as late:
            raise refusal_of((late.stderr or b"").decode(errors="replace"), -1, "target_silent") from late
        if done.returncode == 0:
            return done.stdout
        refused = refusal_of(done.stderr + done.stdout, done.returncode)
        if refused.told[0] != "repository_locked" or time.monotonic() > until:
            raise refused
        say(waits=True)
        if not has_unlocked:  # what has been silent for half an hour is nobody's, by restic's own rule
            has_unlocked = True
            restic(asked, "unlock")
        time.sleep(TURN_S)


#: What restic, ssh and servers say, from the surest sign on.
SIGNS = (
    ("wrong_password", ("wrong password", "no key found")),
    ("host_key_changed", ("host key verification failed", "remote host identification has changed")),
    (
        "login_refused",
        (
            *("permission denied (", "too many authentication failures", "access denied", "accessdenied"),
            *("access key id you provided", "access key id does not exist", "invalidaccesskeyid"),
            *("signature we calculated", "signaturedoesnotmatch", "accessforbidden"),
        ),
    ),
    ("no_bucket", ("bucket does not exist", "nosuchbucket")),
    ("wrong_region", ("authorization header is malformed", "is wrong; expecting")),
    (
        "certificate_refused",
        (
            "x509:",
            "certificate signed by",
            "failed to verify certificate",
            "tls: ",
            "http response to https client",
        ),
    ),
    ("repository_locked", ("already locked",)),
    (
        "target_full",
        (
            *("no space left", "disk quota exceeded", "quota exceeded", "quotaexceeded", "not enough space"),
            *("insufficient storage", "insufficientstorage", "storagefull", "minimum free drive threshold"),
            "minimum free disk threshold",
        ),
    ),
    ("not_allowed_there", ('sftp: "permission denied"', "mkdirall: permission denied", ": permission denied")),
    (
        "connection_lost",
        (
            *("connection lost", "broken pipe", "connection reset", "client_loop:", "timeout, server"),
            *("unexpected eof", "closed by remote host", "connection closed by", "ssh command exited"),
        ),
    ),
    ("no_such_backup", ("no matching id found", "no snapshot found", "invalid id")),
    (
        "repository_damaged",
        ("ciphertext verification failed", "integrity check failed", "invalid data returned"),
    ),
)
#: A repository that isn't there, and not merely one that isn't reached.
_ABSENT = ("no such file", "does not exist", "not found")


def said_by_ssh() -> str:
    """Since it was asked last. restic passes on what it says only where it ends later than that."""
    try:
        with Path(SSH_LOG).open("r+") as log:
            said = log.read()
            log.truncate(0)
    except FileNotFoundError:
        return ""
    return "\n".join(line for line in said.splitlines() if line.strip() and "Warning:" not in line)


def refusal_of(said: str, status: int, else_: str = "tool_refused") -> Refused:
    of_ssh = said_by_ssh()
    text = "\n".join((of_ssh, said)).lower()
    for sentence, signs in SIGNS:
        if any(sign in text for sign in signs):
            return Refused(sentence, said)
    if "unable to open config file" in text and any(one in text for one in _ABSENT):
        return Refused("no_repository", said)
    lines = [line for line in said.splitlines() if line.strip()]
    fatal = [line for line in lines if line.startswith("Fatal:")]
    return Refused(else_, (of_ssh.splitlines()[-1:] or fatal[:1] or lines[-1:] or [f"code {status}"])[0])


# verbs ---------------------------------------------------------------------------------------------


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


# looking into one --------------------------------------------------------------------------------


#: Of Go's os.FileMode: where it has what chmod(1) writes in front of the nine bits.
_SPECIAL = ((1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000))
_SORTS = {"dir": "directory", "file": "file", "symlink": "link"}


def nodes(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """What is at the path, and behind it what is in it. Nothing is locked: whoever looks keeps nobody waiting,
    and waits for nobody. Raises `Refused` (`no_such_path`)."""
    at = os.path.normpath(DISK + "/" + asked["path"])
    if at != DISK and not at.startswith(DISK + "/"):
        raise Refused("no_such_path")
    listed = restic(asked, "ls", "--no-lock", asked["snapshot"], at)
    found = [json.loads(line) for line in listed.splitlines() if line]
    found = [one for one in found if one.get("struct_type") == "node"]
    if not found or found[0]["path"] != at:
        raise Refused("no_such_path")
    return found


def files(asked: dict[str, Any]) -> dict[str, Any]:
    """A page of a directory, by name."""
    top, *inner = nodes(asked)
    if top["type"] != "dir":
        raise Refused("no_such_path")
    inner.sort(key=lambda one: str(one["name"]))
    names = [str(one["name"]) for one in inner]
    start = begin(names, asked["after"])
    end = min(start + asked["most"], len(inner))
    return {
        "entries": [entry(one) for one in inner[start:end]],
        "total": len(inner),
        "next": "" if end == len(inner) else base64_of(cursor(names, end)),
    }


def cursor(names: list[str], end: int) -> str:
    """Behind which the next page begins: a name, and how many that are told alike came before it (restic tells
    all that are no UTF-8 so); no name has a slash."""
    last = names[end - 1]
    alike = end - bisect_left(names, last)
    return f"{last}/{alike}" if names[end] == last else last


def begin(names: list[str], after: str) -> int:
    name, _, alike = after.partition("/")
    if not name:
        return 0
    return bisect_left(names, name) + int(alike) if alike.isdecimal() else bisect_right(names, name)


def base64_of(name: str) -> str:
    return b64encode(name.encode(errors="surrogatepass")).decode()


def entry(node: dict[str, Any]) -> dict[str, Any]:
    mode = int(node["mode"])
    special = sum(bit for go, bit in _SPECIAL if mode & go)
    return {
        "name": str(node["name"]),
        "raw": base64_of(str(node["name"])),
        "sort": _SORTS.get(node["type"], "other"),
        "size": int(node.get("size", 0)),
        "mode": f"{mode & 0o777 | special:04o}",
        "uid": int(node["uid"]),
        "gid": int(node["gid"]),
        "changed_at": seconds_of(str(node["mtime"])),
        "target": "",
    }


def seconds_of(text: str) -> float:
    """Of RFC 3339, whose parts of a second are many; 0 for what Python's calendar doesn't know."""
    whole, zone = text[:19], text[19:].lstrip(".0123456789")
    try:
        return datetime.fromisoformat(whole + (zone if zone != "Z" else "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def dump(asked: dict[str, Any]) -> NoReturn:
    """A file's content, or a directory as a tar archive, on standard output. Nothing else comes there."""
    top = nodes(asked)[0]
    if top["type"] != ("dir" if asked["is_archive"] else "file"):
        raise Refused("no_such_path")
    words = words_of(asked, "dump", "--no-lock", asked["snapshot"], top["path"])
    os.execve(words[0], words, environment(asked))  # noqa: S606 (a list of words)


def restore_path(asked: dict[str, Any]) -> dict[str, Any]:
    """One path, where it was, below the target."""
    if asked["again"]:
        unlock(asked)
    top = nodes(asked)[0]
    pattern = "".join("\\" + one if one in "*?[]\\" else one for one in top["path"])
    restic(asked, "restore", asked["snapshot"], "--target", TARGET, "--include", pattern)
    dig(Path(TARGET + DISK))
    return {}


TASKS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "back_up": back_up,
    "forget": forget,
    "take_back": take_back,
    "restore": restore,
    "list": list_,
    "about": about,
    "check": check,
    "files": files,
    "dump": dump,
    "restore_path": restore_path,
    "look": look,
    "unlock": unlock_alone,
}


def main() -> None:
    asked = json.loads(sys.stdin.buffer.read())
    os.umask(0o077)
    lay_out(asked)
    try:
        say(done=TASKS[asked["task"]](asked))
    except Refused as refused:
        if asked["task"] == "dump":
            sys.exit(json.dumps(refused.told))
        say(refused=refused.told)
    except (OSError, ValueError, KeyError) as odd:
        say(refused=("tool_refused", f"{type(odd).__name__}: {odd}"[-MOST_SAID:]))


if __name__ == "__main__":
    main()

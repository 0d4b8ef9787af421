"""restic is asked, and what it, ssh and servers say becomes the name of a sentence."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = "/repository"
#: Where each backup has its files, so that the next one finds the last one's.
DISK, NOTES = "/disk", "/wadah"
TARGET = "/target"
SCRATCH = "/tmp"  # noqa: S108 (of this container alone)
#: Of ssh, by which restic asks an SFTP server.
SSH_CONFIG, KNOWN_HOSTS, SSH_LOG = (f"{SCRATCH}/{name}" for name in ("ssh_config", "known_hosts", "ssh.log"))
#: Of the end of what restic said.
MOST_SAID = 2000
#: Somebody else's lock is waited for so long: an hour's prune of a large repository isn't.
LOCKED_S, TURN_S = 600.0, 3.0
#: Of each call, where somebody waits to hear what a target is like; restic tries for longer by itself.
CHECKED_S = 90.0


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
            "401 unauthorized",
            "403 forbidden",
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

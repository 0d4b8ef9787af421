"""gVisor's runsc: from the machine's own apt sources where these have one that is new enough, else from the
backports of the same Debian at the same mirror, without a change to the machine's sources."""

import os
import re
import tempfile
from pathlib import Path

from runtime.install.host import run
from runtime.install.output import Stop

RUNSC = Path("/usr/bin/runsc")
#: Older ones start nothing on kernels of these years (`runtime/sandboxes/guarded/tree.py`).
OLDEST_RUNSC = "20240701"
_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_APT = ["-y", "-q", "-o", "DPkg::Lock::Timeout=120"]
_DATE = re.compile(r"\d{8}")


def install_runsc() -> list[str]:
    """What was installed; nothing where it is there. Raises `Stop`."""
    if RUNSC.exists() and _date(run([str(RUNSC), "--version"], timeout_s=30)) >= OLDEST_RUNSC:
        return []
    if os.geteuid() != 0:
        raise Stop("missing: runsc", "sudo ./wadah up --kernels guarded")
    candidate = (
        run(["apt-cache", "policy", "runsc"], timeout_s=60).partition("Candidate:")[2].partition("\n")[0]
    )
    if _date(candidate) >= OLDEST_RUNSC:
        _apt("install", "--no-install-recommends", "runsc")
        return ["runsc"]
    site, codename = _mirror()
    with tempfile.TemporaryDirectory(prefix="wadah-apt-") as place:
        options = _beside(Path(place), site, f"{codename}-backports")
        _apt(*options, "update")
        _apt(*options, "install", "--no-install-recommends", "runsc")
    return ["runsc (backports)"]


def _date(text: str) -> str:
    """The first date in a version; empty without one."""
    found = _DATE.search(text.partition("\n")[0])
    return found.group() if found else ""


def _apt(*words: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", *_APT, *words], timeout_s=300, environment=environment)


def _mirror() -> tuple[str, str]:
    """Where this machine has its Debian from, and which one it is. Raises `Stop`."""
    form = "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(CODENAME)|$(REPO_URI)"
    for line in run(["apt-get", "indextargets", "--format", form], timeout_s=60).splitlines():
        origin, label, component, codename, uri = line.split("|", 4)
        if (origin, label, component) == ("Debian", "Debian", "main") and "-" not in codename:
            return uri, codename
    raise Stop("this machine's apt has no Debian release among its sources, so runsc has no backports here")


def _beside(place: Path, site: str, suite: str) -> list[str]:
    """Options by which apt has these sources alone, and keeps their lists here."""
    keys = f"[signed-by={_KEYS}] " if _KEYS.exists() else ""
    sources = place / "sources.list"
    sources.write_text(f"deb {keys}{site} {suite} main\n")
    place.chmod(0o755)
    (place / "lists" / "partial").mkdir(parents=True)
    return [
        *("-o", f"Dir::Etc::SourceList={sources}", "-o", "Dir::Etc::SourceParts=/dev/null"),
        *("-o", f"Dir::State::Lists={place / 'lists'}"),
    ]

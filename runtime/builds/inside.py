"""Run by `builder`, inside a confined container, with nothing but Python's own library: has git fetch a context
and buildah build an image, and says in one line of JSON what came of it.

What the tools say goes to stderr, for whoever reads the log. Whatever this reads is hostile, and what a build
runs may have led it astray: what comes out is looked at again outside.

    python3 -I -S -c SOURCE < '{"task": "fetch", …}'
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

SCRATCH = "/tmp"  # noqa: S108 (of this container alone)
CONTEXT, CACHE, LAYERS = "/work/context", "/cache", "/layers"
ARCHIVES, HANDED = "/archives", "handed-in"
ARCHIVE = f"{ARCHIVES}/{HANDED}"
KNOWN_HOSTS, SECRETS = f"{SCRATCH}/known_hosts", "/secrets"
_DIAL, _SSH = f"{SCRATCH}/dial.py", f"{SCRATCH}/ssh_config"
_BUILDAH = (
    "/usr/bin/buildah",
    "--log-level=error",
    f"--root={CACHE}/storage",
    "--runroot=/run/containers",
    "--storage-driver=overlay",
    f"--registries-conf={SCRATCH}/registries.conf",
)
_NAME = "localhost/wadah-build"
_MOST_DOCKERFILE = 1024 * 1024
_MOST_BASES = 64


_OWN = {"PATH": "/usr/bin:/bin", "HOME": SCRATCH, "LC_ALL": "C.UTF-8"}


class Refused(Exception):
    """By the name of its sentence in `runtime.contract.words.builds`, with its values."""

    def __init__(self, sentence: str, /, **values: object):
        super().__init__(sentence)
        self.told = sentence, values


def tool(words: list[str], asked: dict[str, Any], sentence: str, **more: str) -> None:
    """Its output is the log. Raises `Refused`."""
    environment = {**asked["environment"], **_OWN, **more}
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment, check=False)
    if done.returncode != 0:
        raise Refused(sentence, code=done.returncode)


# the context --------------------------------------------------------------------------------------


def fetch(asked: dict[str, Any]) -> dict[str, Any]:
    commit = ""
    place = Path(CONTEXT)
    if asked["git"]:
        commit = clone(asked, asked["git"])
    elif asked["has_archive"]:
        unpack(place)
    if asked["dockerfile_text"]:
        below(place, asked["folder"]).mkdir(parents=True, exist_ok=True)
    file = dockerfile_of(asked)
    known = Path(KNOWN_HOSTS)
    return {
        "commit": commit,
        "bases": bases(file.read_text(errors="replace"), asked["args"]),
        "known_hosts": known.read_text()[:8192] if known.exists() else "",
    }


def clone(asked: dict[str, Any], git: dict[str, Any]) -> str:
    """Its newest commit of the branch, without history."""
    ssh_files(git)
    settings = {
        "protocol.allow": "never",
        "protocol.https.allow": "always",
        "protocol.ssh.allow": "always",
        **({"protocol.http.allow": "always"} if git["insecure"] else {}),
        "http.lowSpeedLimit": "1",
        "http.lowSpeedTime": "60",
        "core.sshCommand": f"/usr/bin/ssh -F {_SSH}",
        "credential.helper": "",
        "advice.detachedHead": "false",
    }
    if git["insecure"]:
        settings["http.sslVerify"] = "false"
    if git["token"]:
        settings |= token_file(git)
    how = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings.items()):
        how |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    words = ["/usr/bin/git", "clone", "--progress", "--depth=1", "--single-branch", f"--branch={git['branch']}"]
    if git["submodules"]:
        words += ["--recurse-submodules", "--shallow-submodules"]
    tool([*words, "--", git["url"], CONTEXT], asked, "not_fetched", **how)
    look = ["/usr/bin/git", "-c", "safe.directory=*", "-C", CONTEXT, "rev-parse", "HEAD"]
    found = subprocess.run(look, capture_output=True, text=True, env={"PATH": "/usr/bin", **how}, check=False)
    return found.stdout.strip()


def token_file(git: dict[str, Any]) -> dict[str, str]:
    """As a credential, which git looks up by the host that asks for one. A header of every request would go
    along to wherever a redirect leads."""
    scheme, _, rest = git["url"].partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    file = Path(SCRATCH, "credentials")
    file.touch(mode=0o600)
    pair = ":".join(quote(one, safe="") for one in (git["username"] or "git", git["token"]))
    file.write_text(f"{scheme}://{pair}@{host}\n")
    return {f"credential.{scheme}://{host}.helper": f"store --file={file}"}


def ssh_files(git: dict[str, Any]) -> None:
    key = Path(SCRATCH, "key")
    if git["deploy_key"]:
        key.touch(mode=0o600)
        key.write_text(git["deploy_key"].replace("\r\n", "\n").rstrip("\n") + "\n")
    Path(_DIAL).write_text(git["dial"])
    Path(KNOWN_HOSTS).write_text(git["known_hosts"])
    options = {
        "UserKnownHostsFile": KNOWN_HOSTS,
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes" if git["host_key"] else "accept-new",
        "HashKnownHosts": "no",
        "UpdateHostKeys": "no",
        "BatchMode": "yes",
        "IdentityFile": str(key) if git["deploy_key"] else "none",
        "IdentitiesOnly": "yes",
        "ConnectTimeout": "30",
        "ServerAliveInterval": "10",
        "ProxyCommand": f"/usr/bin/python3 -I -S {_DIAL} %h %p",
    }  # fmt: skip
    Path(_SSH).write_text("".join(f"{name} {value}\n" for name, value in options.items()))


def unpack(place: Path) -> None:
    """Devices, fifos and links that lead out are left out or refused, as tarfile's filter `tar` has it."""
    try:
        with tarfile.open(ARCHIVE) as archive:
            for member in archive:
                if member.isdev() or member.isfifo():
                    continue
                target = os.path.realpath((place / member.name.lstrip("/")).parent)
                if target != CONTEXT and not target.startswith(f"{CONTEXT}/"):
                    raise Refused("bad_context", why=f"{member.name[:200]} leads out of it")
                member.name = member.name.lstrip("/")
                archive.extract(member, place, set_attrs=True, numeric_owner=False)
    except (tarfile.TarError, EOFError, ValueError) as odd:
        raise Refused("bad_context", why=str(odd)[:200]) from odd


def below(top: Path, name: str) -> Path:
    """Raises `Refused` for what leads out, by a link too."""
    found = Path(os.path.realpath(top / name))
    if found != top and top not in found.parents:
        raise Refused("leads_out", path=name)
    return found


def dockerfile_of(asked: dict[str, Any]) -> Path:
    if asked["dockerfile_text"]:
        file = Path("/work/Dockerfile")
        file.write_text(asked["dockerfile_text"])
        return file
    folder = below(Path(CONTEXT), asked["folder"])
    for name in [asked["dockerfile"]] if asked["dockerfile"] else ["Dockerfile", "Containerfile"]:
        file = below(Path(CONTEXT), str(Path(asked["folder"], name)))
        if file.is_file():
            if file.stat().st_size > _MOST_DOCKERFILE:
                raise Refused("dockerfile_too_long")
            return file
    if not folder.is_dir():
        raise Refused("no_folder", path=asked["folder"])
    raise Refused("no_dockerfile", path=str(Path(asked["folder"], asked["dockerfile"] or "Dockerfile")))


# what it is built on ------------------------------------------------------------------------------

_ARG = re.compile(r"ARG\s+(.+)", re.IGNORECASE)
_FROM = re.compile(r"FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_COPIED = re.compile(r"(?:COPY|ADD)\s.*?--from=(\S+)", re.IGNORECASE)
_MOUNTED = re.compile(r"--mount=\S*\bfrom=([^,\s]+)", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?([-+])([^}]*))?\}|(\w+))")


def bases(text: str, given: Mapping[str, str]) -> list[str]:
    """Images that a Dockerfile is built on, in order: they are fetched before anything of it runs, since what
    it runs has neither names and passwords of registries nor a way to those that lie inside."""
    known: dict[str, str] = {}
    stages: set[str] = {"scratch"}
    found: list[str] = []
    seen_from = False
    for line in instructions(text):
        if not seen_from and (arg := _ARG.match(line)):
            for one in arg[1].split():
                name, _, value = one.partition("=")
                known[name] = given.get(name, filled(value.strip("\"'"), known))
        if first := _FROM.match(line):
            seen_from = True
            found.append(filled(first[1].strip("\"'"), {**known, **_PLATFORM}))
            if found[-1].lower() in stages:
                found.pop()
            if first[2]:
                stages.add(first[2].lower())
        others = [*_COPIED.findall(line)[:1], *_MOUNTED.findall(line)]
        found += [one for one in others if not one.isdigit() and one.lower() not in stages]
    unique = list(dict.fromkeys(found))
    if len(unique) > _MOST_BASES:
        raise Refused("too_many_bases", count=len(unique), most=_MOST_BASES)
    return unique


_MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
_PLATFORM = {"TARGETARCH": _MACHINE, "BUILDARCH": _MACHINE, "TARGETOS": "linux", "BUILDOS": "linux"}


def instructions(text: str) -> list[str]:
    """Lines without comments, those that go on put together."""
    found: list[str] = []
    kept = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("#") or not line:
            continue
        kept += line.removesuffix("\\")
        if line.endswith("\\"):
            kept += " "
            continue
        found.append(kept)
        kept = ""
    return [*found, kept] if kept else found


def filled(text: str, known: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name, how, other = match[1] or match[4], match[2], match[3]
        there = known.get(name, "")
        if how == "-":
            return there or other
        if how == "+":
            return other if there else ""
        return there

    return _VARIABLE.sub(value, text)


# buildah ------------------------------------------------------------------------------------------


#: What a RUN step keeps: Docker's own, without those for networks and devices.
_CONTAINERS = """[containers]
default_capabilities = [
  "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"
]
"""


def configure(asked: dict[str, Any]) -> None:
    place = Path(SCRATCH)
    anything = {"default": [{"type": "insecureAcceptAnything"}]}
    (place / "policy.json").write_text(json.dumps(asked.get("policy", anything)))
    signatures = place / ".config/containers/registries.d"
    signatures.mkdir(parents=True, exist_ok=True)
    (signatures / "signatures.yaml").write_text(json.dumps(asked.get("signatures", {})))
    (place / "registries.conf").write_text('unqualified-search-registries = ["docker.io"]\n')
    (place / "containers.conf").write_text(_CONTAINERS)
    (place / "auth.json").write_text(json.dumps({"auths": asked.get("auths", {})}))
    Path("/work/tmp").mkdir(exist_ok=True)
    Path("/run/containers").mkdir()
    Path("/var/tmp").symlink_to("/work/tmp")  # noqa: S108 (layers go there on their way, whatever TMPDIR says)


_OF_BUILDAH = {
    "BUILDAH_ISOLATION": "chroot",
    "CONTAINERS_CONF": f"{SCRATCH}/containers.conf",
    "_CONTAINERS_USERNS_CONFIGURED": "1",
    "STORAGE_DRIVER": "overlay",
    "TMPDIR": "/work/tmp",
    "XDG_RUNTIME_DIR": "/run",
}


def buildah(asked: dict[str, Any], sentence: str, *words: str) -> None:
    tool([*_BUILDAH, *words], asked, sentence, **_OF_BUILDAH)


def pull(asked: dict[str, Any]) -> dict[str, Any]:
    """What it is built on, as its registries have it now."""
    for image, is_insecure in asked["images"]:
        how = [
            "--policy=always",
            f"--signature-policy={SCRATCH}/policy.json",
            f"--authfile={SCRATCH}/auth.json",
        ]
        sys.stderr.write(f"FROM {image}\n")
        sys.stderr.flush()
        try:
            buildah(asked, "not_pulled", "pull", *how, *(["--tls-verify=false"] if is_insecure else []), image)
        except Refused as refusal:
            raise Refused("not_pulled", image=image) from refusal
    return {}


def build(asked: dict[str, Any]) -> dict[str, Any]:
    words = [
        *("bud", "--isolation=chroot", "--layers", "--format=docker", "--pull-never", f"--tag={_NAME}"),
        f"--signature-policy={SCRATCH}/policy.json",
        *(f"--build-arg={name}={value}" for name, value in asked["args"].items()),
        *(f"--secret=id={name},src={SECRETS}/{name}" for name in asked["secrets"]),
        *([f"--target={asked['target']}"] if asked["target"] else []),
    ]
    for name, value in asked["secrets"].items():
        file = Path(SECRETS, name)
        file.touch(mode=0o400)
        file.write_text(value)
    file, folder = dockerfile_of(asked), below(Path(CONTEXT), asked["folder"])
    buildah(asked, "not_built", *words, f"--file={file}", str(folder))
    return {}


def push(asked: dict[str, Any]) -> dict[str, Any]:
    """To the registry, by a name and password that nothing of it has seen. What the registry has by now is
    neither packed nor sent again: which layers those are is kept beside them."""
    known, place = Path(CACHE, "known-layers"), Path("/var/lib/containers/cache")
    known.mkdir(exist_ok=True)
    place.parent.mkdir(parents=True)
    place.symlink_to(known)
    words = [
        *("push", "--quiet", f"--signature-policy={SCRATCH}/policy.json", f"--authfile={SCRATCH}/auth.json"),
        *(f"--digestfile={SCRATCH}/digest", *(["--tls-verify=false"] if asked["insecure"] else [])),
        *(_NAME, f"docker://{asked['to']}"),
    ]
    environment = {**asked["environment"], **_OWN, **_OF_BUILDAH}
    done = subprocess.run(
        [*_BUILDAH, *words], stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False
    )
    text = done.stderr.decode(errors="replace")
    sys.stderr.write(text)
    if done.returncode != 0:
        raise Refused(
            "tool_refused", said=(text.strip().splitlines() or [f"code {done.returncode}"])[-1][-600:]
        )
    return {"digest": Path(SCRATCH, "digest").read_text().strip()}


def take_image(asked: dict[str, Any]) -> dict[str, Any]:
    """An image that was handed in as a file, in place of one that is built."""
    how = ["/usr/bin/skopeo", f"--policy={SCRATCH}/policy.json", "copy", "--quiet"]
    for form in ("oci-archive", "docker-archive"):
        shutil.rmtree(f"{LAYERS}/layout", ignore_errors=True)
        try:
            tool([*how, f"{form}:{ARCHIVE}", f"dir:{LAYERS}/layout"], asked, "no_image", TMPDIR="/work/tmp")
        except Refused:
            continue
        return {}
    raise Refused("no_image", code="1")


TASKS = {"fetch": fetch, "pull": pull, "build": build, "push": push, "take_image": take_image}


def main() -> dict[str, Any]:
    asked = json.loads(sys.stdin.buffer.read())
    os.umask(0o022)
    try:
        configure(asked)
        return TASKS[asked["task"]](asked)
    except Refused as refusal:
        return {"refused": refusal.told}
    except OSError as full:
        return {"refused": ("tool_failed", {"why": f"{full.strerror}"[:200]})}
    except (KeyError, TypeError, ValueError, AttributeError) as odd:
        return {"refused": ("tool_failed", {"why": f"{type(odd).__name__}: {odd}"[:200]})}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()))
    sys.stdout.flush()

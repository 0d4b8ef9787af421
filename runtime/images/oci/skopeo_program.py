"""Run by `registry`, inside a confined container, with nothing but Python's own library: has skopeo ask a
registry, and says in one line of JSON what it found.

Whatever this reads is hostile. What comes out is looked at again outside.

    python3 -I -S -c SOURCE < '{"task": "resolve", …}'
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

#: What registries themselves take of a manifest (distribution-spec), and more than any configuration has.
MOST_BYTES = 4 * 1024 * 1024
SCRATCH = "/tmp"  # noqa: S108 (of this container alone)
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


class Refused(Exception):
    """By the name of its sentence in `runtime.contract.words.apps`, with its values."""

    def __init__(self, sentence: str, /, **values: object):
        super().__init__(sentence)
        self.told = sentence, values


def run(words: list[str], asked: dict[str, Any]) -> subprocess.CompletedProcess[bytes]:
    own = {"PATH": "/usr/bin:/bin", "HOME": SCRATCH, "TMPDIR": asked["scratch"]}
    return subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, env={**asked["environment"], **own}, check=False
    )


def skopeo(asked: dict[str, Any], *words: str) -> bytes:
    """What it printed. Raises `Refused` with its last line."""
    program = ["/usr/bin/skopeo", "--policy=/tmp/policy.json", "--registries-conf=/tmp/registries.conf"]
    program.append("--registries.d=/tmp/registries.d")
    done = run([*program, *words], asked)
    if done.returncode == 0:
        if len(done.stdout) > MOST_BYTES:
            raise Refused("odd_manifest", why="more than 4 MiB")
        return done.stdout
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    raise Refused("tool_refused", said=(lines[-1] if lines else f"code {done.returncode}")[-600:])


def source(asked: dict[str, Any]) -> list[str]:
    if not asked["insecure"]:
        return ["--authfile=/tmp/auth.json"]
    return ["--authfile=/tmp/auth.json", "--tls-verify=false"]


def prepare(asked: dict[str, Any]) -> None:
    place = Path(SCRATCH)
    anything = {"default": [{"type": "insecureAcceptAnything"}]}
    (place / "policy.json").write_text(json.dumps(asked.get("policy", anything)))
    (place / "registries.d").mkdir()
    (place / "registries.d" / "signatures.yaml").write_text(json.dumps(asked.get("signatures", {})))
    (place / "registries.conf").write_text("")
    auth = {}
    if asked["username"] or asked["password"]:
        pair = f"{asked['username']}:{asked['password']}".encode()
        auth = {asked["host"]: {"auth": base64.b64encode(pair).decode()}}
    (place / "auth.json").write_text(json.dumps({"auths": auth}))


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def document(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused("odd_manifest", why="no JSON object")
    return found


def of_platform(index: dict[str, Any], asked: dict[str, Any]) -> str:
    """Digest of the manifest for this machine."""
    there = []
    for one in index["manifests"][:1000]:
        platform = one.get("platform") or {}
        pair = str(platform.get("os", "")), str(platform.get("architecture", ""))
        if pair == ("linux", asked["architecture"]):
            return str(one["digest"])
        if "unknown" not in pair:
            there.append("/".join(pair))
    if not there:
        raise Refused("odd_manifest", why="manifests")
    raise Refused("other_platform", platforms=", ".join(there)[:300], own=f"linux/{asked['architecture']}")


def resolve(asked: dict[str, Any]) -> dict[str, Any]:
    name = f"docker://{asked['name']}"
    by = f"@{asked['digest']}" if asked["digest"] else f":{asked['tag']}"
    how = source(asked)
    with ThreadPoolExecutor(1) as beside:
        configured = beside.submit(skopeo, asked, "inspect", "--config", "--raw", *how, name + by)
        raw = skopeo(asked, "inspect", "--raw", *how, name + by)
    digest = digest_of(raw)
    if asked["digest"] and digest != asked["digest"]:
        raise Refused("other_digest", wanted=asked["digest"], found=digest)
    manifest, own = document(raw), digest
    if manifest.get("mediaType") in INDEXES or isinstance(manifest.get("manifests"), list):
        own = of_platform(manifest, asked)
        raw = skopeo(asked, "inspect", "--raw", *how, f"{name}@{own}")
        if digest_of(raw) != own:
            raise Refused("other_digest", wanted=own, found=digest_of(raw))
        manifest = document(raw)
    if manifest.get("schemaVersion") != 2 or not isinstance(manifest.get("config"), dict):
        raise Refused("odd_manifest", why="not of version 2")
    layers = [(str(one["digest"]), int(one["size"])) for one in manifest["layers"]]
    configuration = None if configured.exception() else configured.result()
    if configuration is None or digest_of(configuration) != manifest["config"]["digest"]:
        # the tag was moved meanwhile, or skopeo chooses another one of an index than we
        configuration = skopeo(asked, "inspect", "--config", "--raw", *how, f"{name}@{own}")
    return {"digest": digest, "manifest": own, "layers": layers, "config": document(configuration)}


def verify(asked: dict[str, Any]) -> dict[str, Any]:
    """Has skopeo take the image by its policy into a place where its layers seem to be already: it asks for its
    signatures, and for no layer."""
    layout = Path(SCRATCH, "signed")
    for digest in asked["layers"]:
        algorithm, _, name = digest.partition(":")
        if not (algorithm.isalnum() and name.isalnum()):
            raise Refused("odd_manifest", why="digest of a layer")
        blobs = layout / "blobs" / algorithm
        blobs.mkdir(parents=True, exist_ok=True)
        (blobs / name).touch()
    how = [f"--src-{one[2:]}" for one in source(asked)]
    place = f"docker://{asked['name']}@{asked['manifest']}"
    skopeo(asked, "copy", "--quiet", "--remove-signatures", *how, place, f"oci:{layout}:image")
    return {}


def copy(asked: dict[str, Any]) -> dict[str, Any]:
    how = [f"--src-{one[2:]}" for one in source(asked)]
    place = f"docker://{asked['name']}@{asked['manifest']}"
    skopeo(asked, "copy", "--quiet", *how, place, "oci:/layers/layout:image")
    return {}


def unpack(asked: dict[str, Any]) -> dict[str, Any]:
    """Layers as they come, in order: a file is called by its digest once skopeo has seen that it is so, and
    umoci looks again, as at the digest of what is in it."""
    wanted, done = asked["wanted"], 0
    while True:
        final = layers_of_layout()
        digests = final if final is not None else [digest for digest, _ in wanted]
        there = done
        while there < len(digests) and blob(digests[there]).is_file():
            there += 1
        if there > done:
            layout_of(digests[done:there], [content for _, content in wanted[done:there]])
            umoci(asked)
            done = there
        elif final is not None:
            if done == len(wanted) == len(final):
                return {}
            raise Refused("odd_manifest", why="layers")
        else:
            time.sleep(0.01)


COMING, PART = Path("/layers/layout"), Path(SCRATCH, "part")
OCI = "application/vnd.oci.image"
#: What a layer begins with says how it is packed; skopeo packs those that aren't.
PACKED = {b"\x1f\x8b": ".v1.tar+gzip", b"\x28\xb5": ".v1.tar+zstd"}


def blob(digest: str, layout: Path = COMING) -> Path:
    algorithm, _, name = digest.partition(":")
    if not (algorithm.isalnum() and name.isalnum()):
        raise Refused("odd_manifest", why="digest of a layer")
    return layout / "blobs" / algorithm / name


def layers_of_layout() -> list[str] | None:
    """Digests of its layers as skopeo has written them; None as long as it writes."""
    try:
        index = document((COMING / "index.json").read_bytes())
        manifest = document(blob(str(index["manifests"][0]["digest"])).read_bytes())
        return [str(one["digest"]) for one in manifest["layers"]]
    except (OSError, Refused, LookupError):
        return None


def layout_of(digests: list[str], contents: list[str]) -> None:
    """An image of these layers alone."""
    shutil.rmtree(PART, ignore_errors=True)
    (PART / "blobs/sha256").mkdir(parents=True)
    layers = []
    for digest in digests:
        file = blob(digest)
        with file.open("rb") as opened:
            how = PACKED.get(opened.read(2), ".v1.tar")
        link = blob(digest, PART)
        if not link.is_symlink():
            link.symlink_to(file)
        layers.append({"mediaType": f"{OCI}.layer{how}", "digest": digest, "size": file.stat().st_size})
    config = {
        **{"architecture": "unknown", "os": "linux", "config": {}},
        "rootfs": {"type": "layers", "diff_ids": contents},
    }
    manifest = {
        **{"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "layers": layers},
        "config": descriptor(config, "config"),
    }
    named = {"annotations": {"org.opencontainers.image.ref.name": "image"}}
    index = {"schemaVersion": 2, "manifests": [{**descriptor(manifest, "manifest"), **named}]}
    (PART / "index.json").write_text(json.dumps(index))
    (PART / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))


def descriptor(content: dict[str, Any], kind: str) -> dict[str, Any]:
    data = json.dumps(content).encode()
    digest = digest_of(data)
    blob(digest, PART).write_bytes(data)
    return {"mediaType": f"{OCI}.{kind}.v1+json", "digest": digest, "size": len(data)}


def umoci(asked: dict[str, Any]) -> None:
    program = ["/usr/bin/umoci", "raw", "unpack", "--keep-dirlinks", f"--image={PART}:image", "/tree"]
    done = run(program, asked)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise Refused("not_unpacked", said=(lines[-1] if lines else f"code {done.returncode}")[-600:])


def tool(asked: dict[str, Any], *words: str) -> None:
    """Raises `Refused` with its last line."""
    done = run(list(words), asked)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise Refused("not_packed", said=(lines[-1] if lines else f"code {done.returncode}")[-600:])


#: Fields of a configuration that umoci sets, and whether there are several.
SET = {
    "entrypoint": ("entrypoint", True),
    "cmd": ("cmd", True),
    "env": ("env", True),
    "user": ("user", False),
    "workdir": ("workingdir", False),
    "stop_signal": ("stopsignal", False),
    "ports": ("exposedports", True),
    "volumes": ("volume", True),
}


def pack(asked: dict[str, Any]) -> dict[str, Any]:
    """The tree as the one layer of a new image."""
    layer, image = "/layers/layer.tar", "--image=/layers/layout:image"
    left_out = [f"--exclude=./{one}" for one in asked["left_out"]]
    attributes = ["--xattrs", "--xattrs-include=security.capability", "--xattrs-include=user.*"]
    tar = ["--create", f"--file={layer}", "--numeric-owner", "--anchored", *attributes, *left_out]
    tool(asked, "/usr/bin/tar", *tar, "--directory=/tree", ".")
    tool(asked, "/usr/bin/umoci", "init", "--layout=/layers/layout")
    tool(asked, "/usr/bin/umoci", "new", image)
    tool(asked, "/usr/bin/umoci", "raw", "add-layer", image, layer)
    Path(layer).unlink()
    given = []
    for name, (field, has_several) in SET.items():
        found = asked["config"][name]
        given += [f"--config.{field}={one}" for one in (found if has_several else [found]) if one]
    if given:
        tool(asked, "/usr/bin/umoci", "config", image, *given)
    return {}


def push(asked: dict[str, Any]) -> dict[str, Any]:
    how = [f"--dest-{one[2:]}" for one in source(asked)]
    place = f"docker://{asked['name']}:{asked['tag']}"
    made = "dir:/layers/layout" if asked.get("is_dir") else "oci:/layers/layout:image"
    skopeo(asked, "copy", "--quiet", "--digestfile=/tmp/digest", *how, made, place)
    return {"digest": Path(SCRATCH, "digest").read_text().strip()}


HANDED = Path("/layers/source")


def lay(asked: dict[str, Any]) -> dict[str, Any]:
    """What somebody handed in, an OCI layout or what `docker save` wrote, as one tree: for this machine, its
    layers in order. Newer ones of Docker are both."""
    if (HANDED / "oci-layout").is_file():
        of_layout(asked)
    else:
        of_docker(asked)
    index = document(beginning(COMING / "index.json"))
    manifest = document(blob_bytes(str(index["manifests"][0]["digest"])))
    config = document(blob_bytes(str(manifest["config"]["digest"])))
    found = f"{config.get('os', '?')}/{config.get('architecture', '?')}"
    if found != f"linux/{asked['architecture']}":
        raise Refused("other_platform", platforms=found[:100], own=f"linux/{asked['architecture']}")
    digests = [str(one["digest"]) for one in manifest["layers"]]
    contents = [str(one) for one in config["rootfs"]["diff_ids"]]
    if not digests or len(digests) != len(contents):
        raise Refused("odd_manifest", why="layers")
    for digest in digests:
        if blob(digest).is_symlink() or not blob(digest).is_file():
            raise Refused("layer_missing", digest=digest[:100])
    layout_of(digests, contents)
    umoci(asked)
    return {"layers": len(digests)}


def beginning(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MOST_BYTES + 1)


def blob_bytes(digest: str) -> bytes:
    """Of a manifest or a configuration, which has the digest that it is called by."""
    file = blob(digest)
    if file.is_symlink() or not file.is_file():
        raise Refused("layer_missing", digest=digest[:100])
    data = beginning(file)
    if len(data) > MOST_BYTES or digest_of(data) != digest:
        raise Refused("odd_manifest", why=f"{digest[:100]} is another")
    return data


def of_layout(asked: dict[str, Any]) -> None:
    """Its blobs, with an index of the one image alone."""
    COMING.mkdir()
    (HANDED / "blobs").rename(COMING / "blobs")
    index = document(beginning(HANDED / "index.json"))
    there = [one for one in index["manifests"] if "unknown" not in str((one.get("platform") or {}).get("os"))]
    several = {str(one["digest"]) for one in there}
    if len(several) != 1 and not all(one.get("platform") for one in there):
        raise Refused("several_images", count=len(several))
    chosen = several.pop() if len(several) == 1 else of_platform(index, asked)
    inner = document(blob_bytes(chosen))
    if inner.get("mediaType") in INDEXES or isinstance(inner.get("manifests"), list):
        chosen = of_platform(inner, asked)
    (COMING / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [{"digest": chosen}]}))


def of_docker(asked: dict[str, Any]) -> None:
    """skopeo reads it as an archive alone, and its names as Docker writes them."""
    try:
        count = len(json.loads(beginning(HANDED / "manifest.json")))
    except (OSError, ValueError, RecursionError, TypeError):
        raise Refused("odd_manifest", why="manifest.json") from None
    if count != 1:
        raise Refused("several_images", count=count)
    archive = "/layers/handed-in.tar"
    tool(
        asked,
        "/usr/bin/tar",
        "--create",
        f"--file={archive}",
        f"--directory={HANDED}",
        "--",
        *(one.name for one in HANDED.iterdir()),
    )
    shutil.rmtree(HANDED)
    skopeo(
        asked,
        *("copy", "--quiet", "--dest-oci-accept-uncompressed-layers"),
        *(f"docker-archive:{archive}", f"oci:{COMING}:image"),
    )
    Path(archive).unlink()


TASKS = {
    "lay": lay,
    "resolve": resolve,
    "verify": verify,
    "copy": copy,
    "unpack": unpack,
    "pack": pack,
    "push": push,
}


def main() -> dict[str, Any]:
    asked = json.loads(sys.stdin.buffer.read())
    os.umask(0o022)
    prepare(asked)
    try:
        return TASKS[asked["task"]](asked)
    except Refused as refusal:
        return {"refused": refusal.told}
    except (KeyError, TypeError, ValueError, AttributeError) as odd:
        return {"refused": ("odd_manifest", {"why": f"{type(odd).__name__}: {odd}"[:200]})}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main()))
    sys.stdout.flush()

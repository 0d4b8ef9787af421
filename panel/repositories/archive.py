"""An image of the registry as one file: an OCI archive that `docker load` takes as well.

What lies in the registry is put into a tar as it lies there, by digest; nothing of a layer is read.
"""

import asyncio
import json
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from panel.audit.services import record
from panel.errors import Conflict, NotFound
from panel.registries import own
from panel.repositories.services import repository
from panel.repositories.store import Store
from panel.rights.actor import Actor
from panel.serving.shares import DOWNLOADS, Place

_PIECE = 256 * 1024
_BLOCK = tarfile.BLOCKSIZE
_OCI = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Download:
    answer: Callable[[], Awaitable[HttpResponseBase]]
    place: Place


@dataclass(frozen=True)
class Entry:
    """Of the archive: text of ours, or a blob."""

    name: str
    text: bytes = b""
    blob: Path | None = None

    @property
    def size(self) -> int:
        return self.blob.stat().st_size if self.blob is not None else len(self.text)


def download(actor: Actor, name: str, tag: str) -> Download:
    """Who sees the repository. Audited. Raises `NotFound`, and `Conflict` for what isn't one image."""
    found = repository(actor, name)
    meant = next((one for one in found.tags if one.name == tag), None)
    if meant is None:
        raise NotFound(_("This tag"))
    entries = list(entries_of(Store(own.place()), meant.digest, f"{found.reference}:{tag}"))
    length = sum(_BLOCK + -(-one.size // _BLOCK) * _BLOCK for one in entries) + 2 * _BLOCK
    place = DOWNLOADS.take(actor, found.tenant.pk, found.tenant.path)
    try:
        record(
            actor,
            "repository.download",
            tenant_id=found.tenant.pk,
            target_name=f"{name}:{tag}",
            after={"digest": meant.digest},
        )
    except BaseException:
        place.give_back()
        raise

    async def answer() -> HttpResponseBase:
        made = StreamingHttpResponse(_pieces(entries), content_type="application/x-tar")
        shown = f"{name.rpartition('/')[2]}-{tag}.tar"
        made["Content-Length"] = str(length)
        made["Content-Disposition"] = content_disposition_header(True, shown) or "attachment"
        made["Content-Security-Policy"] = "sandbox; default-src 'none'"
        return made

    return Download(answer, place)


def entries_of(store: Store, digest: str, reference: str) -> Iterator[Entry]:
    manifest = store.manifest(digest)
    layers = _digests(manifest, "layers")
    config = (manifest or {}).get("config")
    if manifest is None or not layers or not isinstance(config, dict):
        raise Conflict(
            _("This tag isn't one image: it names several, for other machines, or has no layers."),
            code="not_one_image",
            next_step=_("Pull it by a client of registries."),
        )
    blobs = list(dict.fromkeys((digest, str(config.get("digest")), *layers)))
    paths = {one: store.blob(one) for one in blobs}
    if not all(path.is_file() for path in paths.values()):
        raise NotFound(_("This tag"))
    kind = str(manifest.get("mediaType") or _OCI)
    described = {"mediaType": kind, "digest": digest, "size": paths[digest].stat().st_size}
    named = {"annotations": {"org.opencontainers.image.ref.name": reference.rpartition(":")[2]}}
    yield Entry("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
    yield Entry("index.json", _json({"schemaVersion": 2, "manifests": [{**described, **named}]}))
    of_docker = {
        "Config": _at(str(config.get("digest"))),
        "RepoTags": [reference],
        "Layers": [_at(one) for one in layers],
    }
    yield Entry("manifest.json", _json([of_docker]))
    for one, path in paths.items():
        yield Entry(_at(one), blob=path)


def _digests(manifest: dict[str, Any] | None, name: str) -> list[str]:
    rows = (manifest or {}).get(name)
    found = [str(one.get("digest")) for one in rows if isinstance(one, dict)] if isinstance(rows, list) else []
    return [one for one in found if one.startswith("sha256:") and len(one) == 71 and "/" not in one]


def _at(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _json(what: object) -> bytes:
    return json.dumps(what).encode()


async def _pieces(entries: list[Entry]) -> AsyncIterator[bytes]:
    for one in entries:
        head = tarfile.TarInfo(one.name)
        head.size, head.mode = one.size, 0o644
        yield head.tobuf(tarfile.USTAR_FORMAT)
        if one.blob is None:
            yield one.text
        else:
            left = head.size
            with await asyncio.to_thread(one.blob.open, "rb") as file:
                while left > 0 and (piece := await asyncio.to_thread(file.read, min(_PIECE, left))):
                    left -= len(piece)
                    yield piece
        yield b"\0" * (-head.size % _BLOCK)
    yield b"\0" * (2 * _BLOCK)

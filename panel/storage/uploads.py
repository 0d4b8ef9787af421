"""Files of any size that come into an environment in parts: one that was cut off goes on where it stopped."""

import hashlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.utils.translation import gettext as _

from panel.errors import Invalid
from panel.images.archives import Staged, discard
from panel.rights.actor import Actor
from panel.serving.shares import LOOKS, Place, Shares
from panel.storage import answers
from panel.storage.files import Asked, changeable, named, noted, place_of, seen

#: Of one part: what a node takes at once, and what is sent again when a connection breaks.
MOST_PART_MB = 16
_MOST_SIZE_BYTES, _LAST_S = 2**63 - 1, 253_402_300_799
#: Parts that come in at once, in the process that takes them: places for others than who has some.
PARTS = Shares(of_person=2, of_tenant=4, of_tree=4, places=12, code="too_many_uploads")


@dataclass(frozen=True)
class Coming:
    """A part of a file, as its sender describes it."""

    path: bytes
    size: int
    offset: int
    modified: int | None
    """The file's own time, in seconds of the epoch."""
    if_exists: str

    @property
    def id(self) -> str:
        """The same for whoever sends the same file to the same place: so it goes on in another browser."""
        at = b"/".join(one for one in self.path.split(b"/") if one not in {b"", b"."})
        said = f"{self.size} {self.modified} {b64encode(at).decode()}"
        return hashlib.sha256(said.encode()).hexdigest()[:32]


def coming(
    at: tuple[str, str], *, size: int, offset: int, modified: int | None = None, if_exists: str = "replace"
) -> Coming:
    """`at`: the file's path as text and base64. Raises `Invalid`."""
    if not 0 < size <= _MOST_SIZE_BYTES:
        raise Invalid(_("A file that comes in parts has at least one byte."), field="size")
    if not 0 <= offset < size:
        raise Invalid(_("A part begins within the file."), field="offset")
    if modified is not None and not 0 <= modified <= _LAST_S:
        raise Invalid(_("A file's time is in seconds since 1970."), field="modified")
    return Coming(named(*at), size, offset, modified, if_exists)


def may_upload(actor: Actor, environment_id: UUID) -> Place:
    """Raises what `take_part` would, before anything of a body is read, and `TooMany` when the actor or his
    tenant sends as many as may be. The place is given back when all of the part is there."""
    return place_of(actor, changeable(actor, environment_id).environment, PARTS)


def take_part(actor: Actor, environment_id: UUID, part: Coming, staged: Staged) -> Asked[answers.Upload]:
    """The part goes to what has come of the file, which gets its name with the last one. Where less has come
    than `offset`, nothing is taken, and the answer says where to go on. Audited once, with the last part."""
    try:
        if part.offset + staged.bytes > part.size:
            raise Invalid(_("The part goes beyond the end of the file."), field="offset")
        of = changeable(actor, environment_id)
        if part.offset + staged.bytes == part.size:
            place = noted(actor, of, "file_put", part.path, LOOKS, size=part.size)
        else:
            place = place_of(actor, of.environment, LOOKS)
    except BaseException:
        discard(staged.id)
        raise

    async def result() -> answers.Upload:
        try:
            found = await of.take_part(
                part.path,
                staged.id,
                id=part.id,
                offset=part.offset,
                bytes=staged.bytes,
                size=part.size,
                modified=part.modified,
                if_exists=part.if_exists,
            )
        finally:
            discard(staged.id)
        return {"id": part.id, "offset": found["offset"], "size": part.size, "is_whole": found["is_whole"]}

    return Asked(result, place)


def list_unfinished(actor: Actor, environment_id: UUID) -> Asked[answers.UnfinishedUploads]:
    """What has begun and isn't whole, the newest first. Who may run commands inside may look."""
    of = seen(actor, environment_id, "")

    async def result() -> answers.UnfinishedUploads:
        found = [_unfinished(*one) for one in (await of.unfinished())["entries"]]
        return {"items": found, "count": len(found)}

    return Asked(result, place_of(actor, of.environment, LOOKS))


def _unfinished(  # noqa: PLR0917 (as a node tells it)
    pk: str, path64: str, size: int, modified: int | None, offset: int, at: float
) -> answers.UnfinishedUpload:
    raw = b"/" + b64decode(path64).lstrip(b"/")
    return {
        "id": pk,
        "path": raw.decode(errors="replace"),
        "path64": b64encode(raw).decode(),
        "offset": offset,
        "size": size,
        "modified": modified,
        "changed_at": datetime.fromtimestamp(max(0, min(at, _LAST_S)), UTC).isoformat(),
    }


def discard_upload(actor: Actor, environment_id: UUID, upload: str) -> Asked[None]:
    """What has come of it, for good; a no-op where it isn't there. Audited."""
    of = changeable(actor, environment_id)
    if len(upload) != 32 or not set(upload) <= set("0123456789abcdef"):
        raise Invalid(_("An upload's id is 32 hexadecimal digits."), field="upload")

    async def result() -> None:
        await of.discard_upload(upload)

    return Asked(result, noted(actor, of, "upload_discard", b"", LOOKS, upload=upload))

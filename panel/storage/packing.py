"""Searching the files of an environment or snapshot, and archives made and unpacked within one."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from uuid import UUID

from django.utils.translation import gettext as _

from panel.errors import Invalid
from panel.rights.actor import Actor
from panel.serving.shares import LOOKS
from panel.storage import answers
from panel.storage.arranging import all_named
from panel.storage.files import Asked, changeable, named, noted, place_of, raw_path, seen

_LONGEST_SEARCH_BYTES = 255


def search_files(
    actor: Actor,
    environment_id: UUID,
    snapshot_id: str,
    at: tuple[str, str],
    text: str,
    *,
    in_content: bool = False,
    most: int = 200,
) -> Asked[answers.FoundFiles]:
    """Below the directory `at` (text and base64): names that hold `text`, or match it where it has `*` or `?`,
    in whatever case; or plain files that hold exactly that within their first 4 MiB. Who may look may
    search."""
    of, raw = seen(actor, environment_id, snapshot_id), raw_path(*at)
    if not 0 < len(text.encode()) <= _LONGEST_SEARCH_BYTES:
        raise Invalid(
            _("What is looked for has 1 to %(most)s bytes.") % {"most": _LONGEST_SEARCH_BYTES}, field="text"
        )

    async def result() -> answers.FoundFiles:
        found = await of.search(raw, text.encode(), in_content=in_content, most=most)
        items = [_found(*one) for one in found["entries"]]
        return {"items": items, "count": len(items), "is_whole": found["is_whole"]}

    return Asked(result, place_of(actor, of.environment, LOOKS))


def _found(path64: str, sort: str, size: int | None, line: int | None, excerpt: str) -> answers.FoundFile:
    return {
        "path": b64decode(path64).decode(errors="replace"),
        "path64": path64,
        "type": sort,
        "size": size,
        "line": line,
        "excerpt": excerpt,
    }


def pack_files(
    actor: Actor,
    environment_id: UUID,
    paths: Sequence[str],
    paths64: Sequence[str],
    to: tuple[str, str],
    *,
    form: str,
) -> Asked[answers.PackedFiles]:
    """As a new file of the environment, which gets its name when it is whole. Audited."""
    of, raws, raw = changeable(actor, environment_id), all_named(paths, paths64), named(*to)
    chosen = [b64encode(one).decode() for one in raws]
    path = b64encode(raw).decode()
    place = noted(actor, of, "file_pack", raw, LOOKS, count=len(raws))

    async def result() -> answers.PackedFiles:
        found = await of.pack(verb="archive", paths=chosen, path=path, format=form)
        return {"size": found["size"]}

    return Asked(result, place)


def unpack_file(
    actor: Actor, environment_id: UUID, archive: tuple[str, str], into: tuple[str, str]
) -> Asked[answers.UnpackedFiles]:
    """A zip or tar archive of the environment into a directory, which is made where there is none. Audited."""
    of, raw, target = changeable(actor, environment_id), named(*archive), raw_path(*into)
    path, at = b64encode(raw).decode(), b64encode(target).decode()
    place = noted(actor, of, "file_unpack", raw, LOOKS, to=target.decode(errors="replace")[:400])

    async def result() -> answers.UnpackedFiles:
        found = await of.pack(verb="extract", path=path, into=at)
        return {"entries": found["entries"], "skipped": found["skipped"]}

    return Asked(result, place)

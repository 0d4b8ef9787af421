"""Files in parts, as people ask for it: what is refused before a node is asked, and what is noted."""

import asyncio
import uuid
from typing import Any

import pytest

from panel.audit.models import AuditRecord
from panel.environments.models import Environment
from panel.environments.services import delete_environment
from panel.errors import Conflict, Forbidden, Invalid, NotFound, TooMany
from panel.images.archives import Staged, directory
from panel.storage.node_files import NodeFiles
from panel.storage.uploads import (
    PARTS,
    Coming,
    coming,
    discard_upload,
    list_unfinished,
    may_upload,
    take_part,
)
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> Environment:
    factories.node()
    made = factories.environment(factories.tenant())
    factories.reported(made)
    made.refresh_from_db()
    return made


def _staged(size: int) -> Staged:
    pk = uuid.uuid4()
    (directory() / str(pk)).write_bytes(b"x" * size)
    return Staged(pk, "", size)


def _part(at: str = "/srv/large", **more: Any) -> Coming:
    return coming((at, ""), **{"size": 10, "offset": 0, **more})


def test_who_may_not_run_commands_inside_sends_nothing(row: Environment) -> None:
    viewer, stranger = (
        factories.member(row.tenant, "viewer"),
        factories.member(factories.tenant(), "owner"),
    )
    for who, refusal in ((viewer, Forbidden), (stranger, NotFound)):
        for write in (may_upload, list_unfinished, lambda a, b: discard_upload(a, b, "0" * 32)):
            with pytest.raises(refusal):
                write(who, row.pk)
    owner = factories.member(row.tenant, "owner")
    delete_environment(owner, row.pk)
    with pytest.raises(Conflict):
        may_upload(owner, row.pk)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"size": 0}, "size"),
        ({"size": 2**63}, "size"),
        ({"offset": -1}, "offset"),
        ({"offset": 10}, "offset"),
        ({"modified": -1}, "modified"),
        ({"modified": 2**60}, "modified"),
    ],
)
def test_a_part_lies_within_its_file(more: dict[str, int], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        _part(**more)
    assert refused.value.field == field


def test_the_same_file_to_the_same_place_is_the_same_upload() -> None:
    one = _part(modified=5)
    assert one.id == _part(modified=5, offset=3).id == _part(modified=5, at="srv//./large").id
    assert len({one.id, _part().id, _part(modified=5, size=11).id, _part(at="/a").id}) == 4


def test_a_part_is_handed_to_the_node_and_noted_with_the_last(
    row: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[bytes, int, int, bool]] = []

    async def take(self: NodeFiles, path: bytes, archive: uuid.UUID, **part: Any) -> dict[str, Any]:
        said.append((path, part["offset"], part["bytes"], (directory() / str(archive)).exists()))
        return {"offset": part["offset"] + part["bytes"], "is_whole": part["offset"] > 0}

    monkeypatch.setattr(NodeFiles, "take_part", take)
    owner = factories.member(row.tenant, "owner")
    with pytest.raises(Invalid):
        take_part(owner, row.pk, _part(offset=5), _staged(6))
    for offset in (0, 5):
        asked = take_part(owner, row.pk, _part(offset=offset), _staged(5))
        found = asyncio.run(asked.result())
        asked.place.give_back()
        assert (found["offset"], found["is_whole"]) == (offset + 5, offset > 0)
    assert said == [(b"/srv/large", 0, 5, True), (b"/srv/large", 5, 5, True)]
    assert not [one for one in directory().iterdir() if not one.name.startswith(".")]  # nothing of it stays
    noted = AuditRecord.objects.filter(action="environment.file_put").values_list("after", flat=True)
    assert list(noted) == [{"path": "/srv/large", "size": 10}]


def test_a_person_sends_two_parts_at_once(row: Environment) -> None:
    owner = factories.member(row.tenant, "owner")
    places = [may_upload(owner, row.pk) for _ in range(PARTS.of_person)]
    with pytest.raises(TooMany):
        may_upload(owner, row.pk)
    for one in places:
        one.give_back()
    may_upload(owner, row.pk).give_back()


def test_an_id_is_what_we_made(row: Environment) -> None:
    owner = factories.member(row.tenant, "owner")
    for bad in ("", "../../etc", "g" * 32, "0" * 31):
        with pytest.raises(Invalid):
            discard_upload(owner, row.pk, bad)

"""An archive is taken in by whoever may, up to its caps, and what is refused leaves nothing (B21, D11, E10)."""

import hashlib
import io
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from panel.errors import Invalid
from panel.images import archives
from panel.images.models import Image, NodeImage
from panel.images.services import delete_image, spec_of
from runtime.contract import JobOutcome
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
BODY = b"not looked into by the panel" * 1000


@pytest.fixture
def node() -> Any:
    return factories.node()


@pytest.fixture
def headers() -> dict[str, str]:
    return factories.bearer(factories.administrator(), None, "*")


def _post(headers: dict[str, str], query: str, body: bytes = BODY, **fields: Any) -> Any:
    return Client().post(
        f"/api/v1/images/archive?{query}",
        body,
        content_type="application/octet-stream",
        headers=headers,
        **fields,
    )


def _kept() -> list[Path]:
    return [one for one in archives.directory().iterdir() if not one.name.startswith(".lock")]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A HOME of each test's own for what is staged."""
    monkeypatch.setattr(settings, "WADAH", settings.WADAH.model_copy(update={"home": tmp_path}))


def test_it_lies_where_only_we_can_read_and_the_node_gets_no_path(node: Any, headers: dict[str, str]) -> None:
    answer = _post(headers, "name=mine&title=Mine")
    assert answer.status_code == 202, answer.content
    image = Image.objects.get(name="mine")
    spec = spec_of(NodeImage.objects.get(image=image))
    assert spec.archive is not None
    assert spec.archive.sha256 == hashlib.sha256(BODY).hexdigest()
    assert spec.archive.bytes == len(BODY)
    (file,) = _kept()
    assert file.name == str(spec.archive.id)
    assert file.read_bytes() == BODY
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert str(settings.WADAH.home) not in spec.model_dump_json()


def test_a_second_one_replaces_the_first(
    node: Any, headers: dict[str, str], django_capture_on_commit_callbacks: Any
) -> None:
    _post(headers, "name=mine")
    with django_capture_on_commit_callbacks(execute=True):
        assert _post(headers, "name=mine", b"newer" * 100).status_code == 202
    (file,) = _kept()
    assert file.read_bytes() == b"newer" * 100
    assert NodeImage.objects.get(image__name="mine").revision == 2


def test_with_the_image_goes_its_archive(
    node: Any, headers: dict[str, str], django_capture_on_commit_callbacks: Any
) -> None:
    _post(headers, "name=mine")
    row = NodeImage.objects.get(image__name="mine")
    delete_image(factories.administrator(), row.image_id)
    row.refresh_from_db()
    with django_capture_on_commit_callbacks(execute=True):
        factories.job_reported(row.operation, JobOutcome.SUCCEEDED)
    assert _kept() == []
    assert not Image.objects.filter(name="mine").exists()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("name=../x", "name"),
        ("name=%2Fetc%2Fpasswd", "name"),
        ("name=a%0A", "name"),
        ("name=-rf", "name"),
        ("name=" + "x" * 65, "name"),
        ("name=%2e%2e", "name"),
        ("name=busybox", "name"),
        ("name=a%00b", "name"),
        ("name=%E2%80%AEabc", "name"),
        ("title=x", "name"),
        ("name=mine&sha256=" + "0" * 64, "sha256"),
    ],
)
def test_d10_nonsense_is_refused_and_nothing_stays(
    node: Any, headers: dict[str, str], query: str, field: str
) -> None:
    answer = _post(headers, query)
    assert answer.status_code in (400, 409, 422), answer.content
    assert answer.json()["field"] == field
    assert _kept() == []
    assert not Image.objects.exclude(name__in=("busybox", "debian-12", "debian-13")).exists()


def test_b21_a_body_beyond_the_cap_is_cut_off(
    node: Any, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "WADAH", settings.WADAH.model_copy(update={"archive_max_mb": 1}))
    answer = _post(headers, "name=mine", b"x" * (2**20 + 1))
    assert answer.status_code == 422
    assert "at most 1 MiB" in answer.json()["detail"]
    with archives.intake() as one, pytest.raises(Exception, match="at most 1 MiB"):
        for _ in range(10):
            one.write(b"x" * 200_000)
    assert _kept() == []


def test_b21_a_full_disk_is_not_filled_further(
    node: Any, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "RESERVE_BYTES", 2**60)
    answer = _post(headers, "name=mine")
    assert answer.status_code == 409
    assert answer.json()["code"] == "disk_full"
    assert _kept() == []


def test_b21_less_than_was_said_is_refused() -> None:
    with pytest.raises(Invalid, match="bytes arrived"):
        archives.take_in(io.BytesIO(BODY).read, len(BODY) + 5)
    assert _kept() == []


def test_b21_a_few_at_a_time(node: Any, headers: dict[str, str]) -> None:
    with ExitStack() as taken:
        for _ in range(archives.AT_ONCE):
            taken.enter_context(archives.intake())
        assert _post(headers, "name=mine").status_code == 429
    assert _post(headers, "name=mine").status_code == 202


def test_b21_one_that_trickles_in_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    with archives.intake() as one:
        one.write(bytes(1000))
        monkeypatch.setattr(archives, "PATIENCE_S", 0.0)
        monkeypatch.setattr(archives, "SLOWEST_BYTES_S", 10**9)
        with pytest.raises(Invalid, match="too slowly"):
            one.write(b"x")
    assert not _kept()


def test_nobody_but_administrators_and_nothing_is_read(node: Any) -> None:
    of = factories.tenant()
    for headers, status in ((factories.bearer(factories.member(of), of, role="owner"), 403), ({}, 403)):
        assert _post(headers, "name=mine").status_code in (status, 401)
    assert _kept() == []


def test_the_same_key_means_the_same_import(node: Any, headers: dict[str, str]) -> None:
    keyed = {**headers, "Idempotency-Key": "once"}
    first, again = _post(keyed, "name=mine"), _post(keyed, "name=mine")
    assert first.status_code == again.status_code == 202
    assert again.headers["Idempotent-Replayed"] == "true"
    assert NodeImage.objects.get(image__name="mine").revision == 1
    assert _post(keyed, "name=mine", b"another").status_code == 422


def _browser(user: Any, *, checks: bool = False) -> Client:
    client = Client(enforce_csrf_checks=checks)
    client.force_login(user)
    return client


def _form(client: Client, **fields: Any) -> Any:
    file = SimpleUploadedFile("rootfs.tar.zst", BODY)
    return client.post("/images/import", {"name": "mine", "title": "Mine", "archive": file, **fields})


def test_by_the_form(node: Any) -> None:
    client = _browser(factories.administrator().user)
    assert b'type="file"' in client.get("/images/import").content
    assert _form(client).status_code == 302
    (file,) = _kept()
    assert file.read_bytes() == BODY


@pytest.mark.parametrize("fields", [{"name": "../x"}, {"name": "busybox"}, {"name": ""}, {"archive": ""}])
def test_the_form_says_beside_the_field_what_is_wrong(node: Any, fields: dict[str, str]) -> None:
    answer = _form(_browser(factories.administrator().user), **fields)
    assert answer.status_code == 422
    assert b"field-error" in answer.content
    assert _kept() == []


def test_the_form_without_its_token_leaves_nothing(node: Any) -> None:
    assert _form(_browser(factories.administrator().user, checks=True)).status_code == 403
    assert _kept() == []


def test_the_form_is_for_administrators(node: Any) -> None:
    client = _browser(factories.member(factories.tenant()).user)
    assert client.get("/images/import").status_code == 403
    assert _form(client).status_code == 403
    assert _kept() == []


def test_d11_what_a_dead_process_left_is_swept(node: Any, headers: dict[str, str]) -> None:
    import os

    _post(headers, "name=mine")
    stray = archives.directory() / ".6ff0.part"
    stray.write_bytes(b"x")
    assert archives.sweep() == 0
    os.utime(stray, (1, 1))
    (kept,) = (one for one in _kept() if one != stray)
    os.utime(kept, (1, 1))
    assert archives.sweep() == 1
    assert _kept() == [kept]

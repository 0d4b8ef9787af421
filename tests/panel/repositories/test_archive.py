"""An image of the registry as one file, and what reads it."""

import asyncio
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.http import StreamingHttpResponse

from panel.audit.models import AuditRecord
from panel.errors import Conflict, NotFound
from panel.repositories import archive
from panel.repositories.store import Store
from panel.tenants.models import Tenant
from tests.panel.support import factories
from tests.support.registry import Layout, file, folder

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """With `web:1` of two layers in the registry, and `list:1` that names none."""
    monkeypatch.setattr(settings, "WADAH", settings.WADAH.model_copy(update={"home": tmp_path}))
    (tmp_path / "registry").mkdir()
    made, store, layout = factories.tenant(), Store(tmp_path / "registry"), Layout(tmp_path / "layout")
    store.take(made.slug, str(made.pk))
    image = layout.image([folder("d"), file("d/a", b"a" * 3000)], [file("d/b", b"b" * 700)])
    listed, _ = layout.blob(b'{"schemaVersion": 2, "manifests": []}')
    for one in (layout.place / "blobs/sha256").iterdir():
        blob = store.blob(f"sha256:{one.name}")
        blob.parent.mkdir(parents=True)
        blob.write_bytes(one.read_bytes())
    for name, digest in (("web", image["digest"]), ("list", listed)):
        link = store.directory(f"{made.slug}/{name}") / "_manifests/tags/1/current/link"
        link.parent.mkdir(parents=True)
        link.write_text(digest)
    return made


async def _whole(found: archive.Download) -> tuple[bytes, int]:
    answer = await found.answer()
    assert isinstance(answer, StreamingHttpResponse)
    return b"".join([bytes(one) async for one in answer]), int(answer["Content-Length"])  # type: ignore[union-attr]


def test_what_is_downloaded_is_the_image(tenant: Tenant, tmp_path: Path) -> None:
    actor = factories.member(tenant, "viewer")
    found = archive.download(actor, f"{tenant.slug}/web", "1")
    content, length = asyncio.run(_whole(found))
    found.place.give_back()
    assert len(content) == length
    path = tmp_path / "image.tar"
    path.write_bytes(content)
    for form in ("oci-archive", "docker-archive"):
        words = ["skopeo", "--insecure-policy", "copy", "--quiet", f"{form}:{path}", f"dir:{tmp_path / form}"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    assert AuditRecord.objects.filter(action="repository.download").count() == 1


def test_who_may_not_and_what_cannot(tenant: Tenant) -> None:
    stranger = factories.member(factories.tenant(), "owner")
    with pytest.raises(NotFound):
        archive.download(stranger, f"{tenant.slug}/web", "1")
    mine = factories.member(tenant, "owner")
    with pytest.raises(NotFound):
        archive.download(mine, f"{tenant.slug}/web", "2")
    with pytest.raises(Conflict):
        archive.download(mine, f"{tenant.slug}/list", "1")

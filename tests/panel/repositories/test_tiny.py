"""However small it is, what a tenant writes to the registry is counted: its number has an end."""

import asyncio
import hashlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from panel.repositories import gate
from panel.repositories.store import DEEPEST, LEAST_BYTES, Store
from panel.tenants.models import Tenant
from tests.panel.repositories.conftest import Own
from tests.panel.support import factories

pytestmark = pytest.mark.django_db(transaction=True)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ROOM_MB = 2
MOST = ROOM_MB * 2**20 // LEAST_BYTES


@dataclass
class Pusher:
    """A client that writes what it likes to one repository, by the registry's own protocol."""

    host: str
    name: str
    password: str

    def __post_init__(self) -> None:
        basic = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        url = f"http://{self.host}/registry/token?service=wadah-registry&scope=repository:{self.name}:pull,push"
        basic.add_password(None, url, "anybody", self.password)
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(basic))
        self._token = json.loads(opener.open(url, timeout=20).read())["token"]

    def ask(self, method: str, path: str, data: bytes = b"", kind: str = "application/octet-stream") -> Any:
        """The status, and what was said or where it goes on."""
        url = path if path.startswith("http") else f"http://{self.host}/v2/{self.name}{path}"
        if path.startswith("/v2/"):
            url = f"http://{self.host}{path}"
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers.get("Location", "")
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def begin(self) -> Any:
        return self.ask("POST", "/blobs/uploads/")

    def blob(self, data: bytes, algorithm: str = "sha256") -> Any:
        status, where = self.begin()
        if status != 202:
            return status, where
        digest = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
        return self.ask("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest}", data)

    def manifest(self, tag: str, note: str = "") -> Any:
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2}
        config["digest"] = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}
        data = json.dumps({**body, "annotations": {"note": note}}).encode()
        return self.ask("PUT", f"/manifests/{tag}", data, MANIFEST)


def _pusher(registry: Own, name: str = "web") -> tuple[Pusher, Tenant]:
    tenant = factories.tenant()
    bearer = factories.bearer(factories.member(tenant, "owner"), tenant, role="operator")
    password = bearer["Authorization"].removeprefix("Bearer ")
    return Pusher(registry.host, f"{tenant.slug}/{name}", password), tenant


WAYS: dict[str, Callable[[Pusher, int], Any]] = {
    "uploads that never end": lambda who, _: who.begin(),
    "blobs of a byte": lambda who, number: who.blob(b"%d" % number),
    "links by another algorithm": lambda who, number: (
        who.blob(b"%d" % (number % 4), ("sha512", "sha256")[number % 2])
        if number < 8
        else who.manifest(f"t{number}")
    ),
    "tags of one manifest": lambda who, number: who.manifest(f"t{number}"),
    "manifests of one tag": lambda who, number: who.manifest("latest", str(number)),
}


@pytest.mark.parametrize("own_registry", [ROOM_MB], indirect=True)
def test_number_has_an_end(own_registry: Own) -> None:
    for what, act in WAYS.items():
        pusher, tenant = _pusher(own_registry)
        assert pusher.blob(b"{}")[0] == 201, what
        answers: list[Any] = []
        while len(answers) < MOST + 10 and 403 not in [status for status, _ in answers[:-2]]:
            answers.append(act(pusher, len(answers)))
        refused = [said for status, said in answers if status == 403]
        assert refused, f"{what}: as many as one likes"
        assert "takes 64 KiB of them at least" in refused[0], what
        assert {status for status, _ in answers} <= {201, 202, 403}, what
        assert _files(own_registry, tenant) < 4 * MOST, what


def _files(registry: Own, tenant: Tenant) -> int:
    place = Store(registry.home / "registry").directory(tenant.slug)
    return sum(len(files) for _, _, files in os.walk(place))


def test_a_name_without_end_is_refused(own_registry: Own) -> None:
    """What lies deeper than lists go was counted nowhere, and nobody could take it out."""
    deep, tenant = _pusher(own_registry, "/".join("d" * DEEPEST))
    assert deep.blob(b"{}")[0] == 201
    assert deep.manifest("1")[0] == 201
    assert [one.count("/") for one in Store(own_registry.home / "registry").repositories(tenant.slug)] == [
        DEEPEST
    ]
    deeper, tenant = _pusher(own_registry, "/".join("d" * (DEEPEST + 1)))
    status, said = deeper.blob(os.urandom(200_000))
    assert status == 403
    assert f"at most {DEEPEST} parts" in said
    assert _files(own_registry, tenant) == 0


def test_links_to_what_was_collected_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    for name, is_there in (("a" * 64, True), ("b" * 64, False)):
        link = store.directory("acme/web") / "_layers" / "sha256" / name
        link.mkdir(parents=True)
        (link / "link").write_text(f"sha256:{name}")
        if is_there:
            blob = store.blob(f"sha256:{name}")
            blob.parent.mkdir(parents=True)
            blob.write_bytes(b"x")
    (store.directory("acme/old") / "_manifests" / "revisions" / "sha256" / ("c" * 64)).mkdir(parents=True)
    before = store.used_bytes("acme")
    assert store.sweep() == 3
    assert before - store.used_bytes("acme") == 3 * LEAST_BYTES
    assert not store.directory("acme/old").exists()
    assert [one.name for one in (store.directory("acme/web") / "_layers" / "sha256").iterdir()] == ["a" * 64]


def test_who_writes_for_ever_keeps_nobody_from_freed_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Garbage was collected after a minute without a write: one slow upload kept it from that."""
    monkeypatch.setattr(gate, "LOOK_S", 0.01)
    monkeypatch.setattr(gate, "PATIENCE_S", 0.05)
    monkeypatch.setattr(gate, "LEAVE_S", 0.05)
    collected = []
    monkeypatch.setattr(gate, "collect_garbage", collected.append)
    made = gate.Gate(tmp_path, 2**30)
    made.store.root.mkdir()
    made.store.ask_to_collect()

    async def story() -> None:
        async def for_ever(*_: Any) -> None:
            await asyncio.sleep(3600)

        monkeypatch.setattr(made, "_hand_on", for_ever)
        writer = asyncio.ensure_future(made({"type": "http"}, for_ever, for_ever))  # type: ignore[arg-type]
        collector = asyncio.ensure_future(made._collect_by_and_by())
        async with asyncio.timeout(20):
            await asyncio.wait({writer})
            while (made.store.root / "collect").exists():  # noqa: ASYNC110 - nobody in this process tells
                await asyncio.sleep(0.01)
        collector.cancel()
        assert writer.cancelled()

    asyncio.run(story())
    assert collected == [tmp_path]

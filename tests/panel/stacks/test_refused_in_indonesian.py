"""What a Compose file is refused for is said in its reader's language, by the API."""

import json

import pytest
from django.test import Client

from panel.said import shown
from panel.stacks.compose import ComposeRefused, Source, read
from tests.panel.support import factories

_BAD = """services:
  web:
    image: nginx
    privileged: true
    volumes: ["/etc:/etc"]
    prots: ["80"]
    environment: {A: "${NEEDED:?say it}"}
"""
_SAID = [
    "baris 4: services.web.privileged: privileged tidak bisa dipakai: root di dalam bukan siapa-siapa di luar;"
    " hilangkan saja, atau pakai sebuah sistem",
    "baris 5: services.web.volumes[0]: /etc tidak bisa dipakai: path node tidak tampak bagi lingkungan mana"
    " pun;"
    " sebutkan volume; berkas dikirim bersama stack sebagai files, atau ditulis sebagai config dengan content",
    "baris 6: services.web.prots: prots bukan kunci sebuah layanan; maksud Anda ports?",
    "baris 7: services.web.environment.A: variabel NEEDED harus diisi: say it",
]


@pytest.mark.django_db
def test_by_the_api(client: Client) -> None:
    node, tenant = factories.node(), factories.tenant()
    who = factories.bearer(factories.member(tenant), tenant, role="owner")
    body = {"tenant": tenant.slug, "name": "shop", "node": node.name, "compose": _BAD}
    headers = {**who, "Accept-Language": "id"}
    answer = client.post("/api/v1/stacks", json.dumps(body), content_type="application/json", headers=headers)
    assert answer.status_code == 422
    assert [one["message"] for one in answer.json()["errors"]] == _SAID
    english = client.post("/api/v1/stacks", json.dumps(body), content_type="application/json", headers=who)
    assert english.json()["errors"][2]["message"].endswith("prots is no key of a service; did you mean ports?")


@pytest.mark.django_db
def test_notes_by_the_api(client: Client) -> None:
    node, tenant = factories.node(), factories.tenant()
    who = factories.bearer(factories.member(tenant), tenant, role="owner")
    body = {
        "tenant": tenant.slug,
        "name": "shop",
        "node": node.name,
        "compose": "services: {web: {image: nginx, annotations: {a: b}, platform: linux/amd64}}",
    }
    answer = client.post(
        "/api/v1/stacks?preview=true",
        json.dumps(body),
        content_type="application/json",
        headers={**who, "Accept-Language": "id"},
    )
    assert answer.status_code == 200, answer.content
    assert [one["text"] for one in answer.json()["notes"]] == [
        "annotations diabaikan: anotasi tidak disimpan",
        "image untuk prosesor lain dari milik node ditolak saat diambil",
    ]


def test_what_the_contract_says_of_an_image_has_a_code() -> None:
    with pytest.raises(ComposeRefused) as caught:
        read(Source("services: {a: {image: 'UPPER CASE'}, b: {image: x, environment: {'a b': c}}}"))
    assert all(one.text.code for one in caught.value.problems)
    assert all(shown(one.text) for one in caught.value.problems)

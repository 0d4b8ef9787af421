"""JSON from outside: what may be read one way or another is refused, with the field that it is about."""

import json
import time
from typing import Any

import pytest
from django.test import Client

from panel.errors import Invalid
from panel.gate.bodies import NotJson, read_json
from panel.tenants.models import Tenant
from tests.panel.support import factories


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"a": 1.0}', {"a": 1}),
        (b'{"a": 1.5}', {"a": 1.5}),
        (b"\xef\xbb\xbf{}", {}),
        (b'{"a": "\\ud83d\\udca5"}', {"a": "\U0001f4a5"}),
        (b'{"a": -9223372036854775808}', {"a": -(2**63)}),
        ('{"a": "Zürich \u202e\u0661"}'.encode(), {"a": "Zürich \u202e\u0661"}),
    ],
)
def test_what_is_good_is_read(body: bytes, said: Any) -> None:
    assert read_json(body) == said
    assert all(type(one) is type(said["a"]) for one in read_json(body).values())


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"", b"\xff{}", b"nope", b"{}{}", b"[NaN]", b"[-Infinity]", b'{"a": 1,}', b"'a'", b"[01]"),
        *("{}".encode("utf-16"), "{}".encode("utf-32-le"), b'["\xed\xa0\x80"]', b'["\0"]', b'["\n"]'),
    ],
)
def test_what_is_no_json_is_told_so(body: bytes) -> None:
    with pytest.raises(NotJson):
        read_json(body)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"a": {"b": 1, "b": 1}}', "b"),
        (b'{"a": {"b": [{"c": "\\u0000"}]}}', "a.b.0.c"),
        (b'{"a": ["\\ud800"]}', "a.0"),
        (b'{"\\u0000": 1}', "\N{REPLACEMENT CHARACTER}"),
        (b"[9223372036854775808]", ""),
        (b"[1e999]", ""),
        (b"[" + b"9" * 100_000 + b"]", ""),
        (b"[" * 100_000, ""),
        (b"[" * 30 + b"]" * 30, ""),
        (b'{"a":' * 50_000, ""),
    ],
)
def test_what_no_field_can_hold_is_told_with_its_field(body: bytes, field: str) -> None:
    with pytest.raises(Invalid) as told:
        read_json(body)
    assert told.value.field == field
    assert len(told.value.message) < 200


_NUMBERS = ("true", '"443"', "443.5", "[443]", "null", "1e3000", "9223372036854775808")


@pytest.fixture
def own() -> tuple[Client, Tenant]:
    factories.node()
    tenant = factories.tenant()
    return Client(headers=factories.bearer(factories.member(tenant), tenant, role="administrator")), tenant


@pytest.mark.django_db
@pytest.mark.parametrize("token", _NUMBERS)
def test_a_number_is_a_number(token: str, own: tuple[Client, Tenant]) -> None:
    client, tenant = own
    row = factories.environment(tenant)
    for path, body in (
        (f"environments/{row.pk}/forwards", '{"port": @}'),
        (f"environments/{row.pk}/addresses", '{"count": @}'),
        (f"environments/{row.pk}", '{"limits": {"memory_mb": @}}'),
        (f"environments/{row.pk}", '{"restart": {"mode": "always", "max_restarts": @}}'),
        (
            "environments",
            '{"name": "a", "image": "busybox", "limits": {"cpu": 1, "memory_mb": @, "disk_mb": 64}}',
        ),
    ):
        method = "PATCH" if path.endswith(str(row.pk)) else "POST"
        answer = client.generic(
            method, f"/api/v1/{path}", body.replace("@", token), content_type="application/json"
        )
        assert answer.status_code == 422, f"{path} {body}: {answer.status_code} {answer.content!r}"


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["1", "0", '"true"', '"yes"', "[]"])
def test_true_is_true(token: str, own: tuple[Client, Tenant]) -> None:
    client, tenant = own
    row = factories.environment(tenant)
    one = f"/api/v1/environments/{row.pk}"
    for path, method, body in (
        (one, "PATCH", '{"follows_plan": @}'),
        (one, "PATCH", '{"network": {"allow_smtp": @}}'),
        (one, "PATCH", '{"security": {"nesting": @}}'),
        (f"{one}/reinstall", "POST", '{"keep_old": @}'),
    ):
        answer = client.generic(method, path, body.replace("@", token), content_type="application/json")
        assert answer.status_code == 422, f"{path} {body}: {answer.status_code} {answer.content!r}"


@pytest.mark.django_db
def test_a_token_for_what_is_no_id_is_refused(own: tuple[Client, Tenant]) -> None:
    client, tenant = own
    for one in ("x", "", "12345678-1234-1234-1234-12345678901g", "{}", "-1"):
        body = json.dumps({"tenant": tenant.slug, "role": "viewer", "environments": [one]})
        answer = client.post("/api/v1/tokens", body, content_type="application/json")
        assert answer.status_code == 404, answer.content


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"a": [' + b"1," * 300_000 + b"1]}", "10000 values"),
        (b'{"a": [' + b"{}," * 200_000 + b"{}]}", "10000 values"),
        (b"{" + b",".join(b'"k%d": 1' % one for one in range(20_000)) + b"}", "10000 values"),
        (b'{"a": {"' + b"x" * 900_000 + b'": 1}}', "4096 letters"),
    ],
    ids=["numbers", "objects", "names", "a long name"],
)
def test_a_body_of_too_much_is_refused_as_a_whole(body: bytes, says: str) -> None:
    """Each of 300,000 values of a megabyte was told to be wrong: 22 MB of refusal, 8 s of a web thread."""
    began = time.thread_time()
    with pytest.raises(Invalid, match=says):
        read_json(body)
    assert time.thread_time() - began < 1


@pytest.mark.django_db
def test_of_what_is_wrong_so_much_is_told_and_no_more() -> None:
    factories.node()
    tenant = factories.tenant()
    client = Client(headers=factories.bearer(factories.member(tenant), tenant, role="administrator"))
    place, json_ = f"/api/v1/environments/{factories.environment(tenant).pk}", "application/json"
    for keys in ([1] * 9_000, ["x"] * 9_000):
        answer = client.patch(place, {"ssh_keys": keys}, content_type=json_)
        assert answer.status_code == 422
        assert len(answer.content) < 30_000
    body = {"limits": {"k" * 4_000: 1}}
    answer = client.patch(place, body, content_type=json_)
    assert answer.status_code == 422
    assert len(answer.content) < 4_000

"""WebSockets get what nobody should send: each is refused before its handshake, and the process goes on."""

import asyncio
import json
import uuid
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.test import Client

from tests.panel.security.sockets import ORIGIN, run, socket
from tests.panel.support import factories

pytestmark = pytest.mark.django_db
_PLACES = (
    "/ws/events",
    f"/ws/environments/{uuid.uuid4()}/console",
    f"/ws/environments/{uuid.uuid4()}/terminals/a",
)


async def _closed_with(made: WebsocketCommunicator) -> int:
    """The code that it was closed with before it was accepted; 0: it was accepted."""
    is_open, code = await made.connect(timeout=30)
    if is_open:
        await made.disconnect()
    return 0 if is_open else int(code or 1000)


def _signed_in() -> Client:
    client = Client()
    client.force_login(factories.person(), "allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ws",
        "/ws/",
        "/ws/nothing",
        "/ws/events/",
        "/ws/environments/x/console",
        "/ws/events\0",
        "/\0",
        "/ws/\ud800",
    ],
)
def test_a_socket_that_leads_nowhere_is_closed(path: str) -> None:
    made = socket("/ws/events", _signed_in())
    made.scope["path"] = path
    assert run(_closed_with, made) in (4400, 4404)


@pytest.mark.parametrize(
    "origin",
    ["http://testserver:99999999", "http://testserver:b", "http://[", "http://]", "\0", "http://testserver:0"],
)
def test_an_origin_that_is_no_address_is_closed(origin: str) -> None:
    for place in _PLACES:
        assert run(_closed_with, socket(place, _signed_in(), origin=origin)) >= 1000


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"cookie", b"wadah_sid=\0abcdefgh"),
        (b"cookie", rb'wadah_sid="\000abcdefgh"'),
        (b"cookie", b"wadah_sid=\xff\xfeabcdefgh"),
        (b"cookie", b"=" * 5000),
        (b"authorization", b"Bearer wdh_\0_x"),
        (b"authorization", b"Bearer wdh_" + b"0" * 32 + b"_\xff"),
        (b"authorization", b"Bearer wdh_" + b"9" * 5000 + b"_x"),
        (b"authorization", b"\xff\xfe"),
        (b"x-forwarded-for", b"\0"),
        (b"x-forwarded-for", b"\xff, 1.2.3.4.5"),
        (b"accept-language", b"\xff"),
    ],
)
def test_a_header_that_cannot_be_read_opens_nothing(header: bytes, value: bytes) -> None:
    for place in _PLACES:
        made = socket(place, origin=None if header == b"authorization" else ORIGIN)
        made.scope["headers"] = [*(made.scope["headers"] or ()), (header, value)]
        assert run(_closed_with, made) >= 1000


def test_a_query_with_nul_is_closed() -> None:
    assert run(_closed_with, socket("/ws/events?a=%00", _signed_in())) == 4400


def test_no_message_ends_the_events() -> None:
    """Each is answered with an error, and the next ping with a pong."""
    texts = [
        "[" * 60_000,
        '{"type":' * 10_000,
        "9" * 5_000,
        "NaN",
        "\0",
        "\ufffe",
        '"\\ud800"',
        '{"type": true}',
        "{",
    ]

    async def talk() -> list[Any]:
        made = socket("/ws/events", client)
        assert (await made.connect(timeout=30))[0]
        heard = [await made.receive_json_from(30)]
        for text in [*texts, json.dumps({"type": "ping"})]:
            await made.send_to(text_data=text)
            heard.append(await made.receive_json_from(30))
        await made.disconnect()
        await asyncio.sleep(0)
        return [one["kind"] for one in heard]

    client = _signed_in()
    assert run(talk) == ["hello", *["error"] * len(texts), "pong"]

"""A page's socket ends with the right to have it: who signs out hears nothing more."""

import pytest
from channels.db import database_sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from panel.config.asgi import application
from panel.live.consumer import CLOSED_BY_RIGHTS
from tests.panel.support.factories import administrator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


def _signed_in() -> Client:
    browser = Client()
    browser.force_login(administrator().user)
    return browser


def _events(browser: Client) -> WebsocketCommunicator:
    session = browser.cookies[settings.SESSION_COOKIE_NAME].value
    return WebsocketCommunicator(
        application,
        "/ws/events",
        headers=[
            (b"cookie", f"{settings.SESSION_COOKIE_NAME}={session}".encode()),
            (b"host", b"testserver"),
            (b"origin", settings.WADAH.url.encode()),
        ],
    )


async def test_signing_out_closes_the_socket() -> None:
    browser = await database_sync_to_async(_signed_in)()
    socket = _events(browser)
    connected, _ = await socket.connect(timeout=30)
    assert connected
    assert await socket.receive_json_from(timeout=30) == {"kind": "hello"}
    await database_sync_to_async(browser.logout)()
    assert await socket.receive_output(timeout=30) == {"type": "websocket.close", "code": CLOSED_BY_RIGHTS}


async def test_a_page_of_another_site_gets_no_socket() -> None:
    browser = await database_sync_to_async(_signed_in)()
    socket = _events(browser)
    socket.scope["headers"][1] = (b"origin", b"http://elsewhere.example")
    connected, _ = await socket.connect(timeout=30)
    assert not connected

"""WebSocket addresses of events."""

from collections.abc import Callable
from typing import cast

from channels.consumer import AsyncConsumer
from django.http.response import HttpResponseBase
from django.urls import path

from panel.live.consumer import EventConsumer


def as_view(consumer: type[AsyncConsumer]) -> Callable[..., HttpResponseBase]:
    """`django.urls` takes any callable and calls none; Channels' router calls it as an ASGI application."""
    return cast("Callable[..., HttpResponseBase]", consumer.as_asgi())


websocket_urlpatterns = [path("ws/events", as_view(EventConsumer))]

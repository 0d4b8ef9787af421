"""WebSocket addresses of events."""

from django.urls import path

from panel.live.consumer import EventConsumer

websocket_urlpatterns = [path("ws/events", EventConsumer.as_asgi())]

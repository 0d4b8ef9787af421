"""WebSocket addresses of consoles."""

from django.urls import path, re_path

from panel.console.consumer import ConsoleConsumer
from panel.live.routing import as_view
from runtime.contract.base import NAME_PATTERN

_UUID = r"(?P<environment_id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
_NAME = NAME_PATTERN.removeprefix("^").removesuffix("$")

websocket_urlpatterns = [
    path("ws/environments/<uuid:environment_id>/console", as_view(ConsoleConsumer)),
    re_path(rf"^ws/environments/{_UUID}/terminals/(?P<name>{_NAME})$", as_view(ConsoleConsumer)),
]

"""WebSockets only: pages and API are served by `wsgi`."""

import importlib.util
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.config.settings")
_http = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import OriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402
from django.urls import URLPattern  # noqa: E402

from panel.live.routing import websocket_urlpatterns  # noqa: E402


def _routes() -> list[URLPattern]:
    found = list(websocket_urlpatterns)
    if importlib.util.find_spec("panel.console") and importlib.util.find_spec("panel.console.routing"):
        from panel.console.routing import websocket_urlpatterns as consoles  # noqa: PLC0415

        found += consoles
    return found


class SameOrigin(OriginValidator):  # type: ignore[misc]
    """Pages of ours only. A program with a bearer token has no origin, and no cookie to be abused."""

    def valid_origin(self, parsed_origin: object) -> bool:
        return parsed_origin is not None and bool(super().valid_origin(parsed_origin))

    async def __call__(self, scope: dict, receive: object, send: object) -> object:  # type: ignore[type-arg]
        names = {name for name, _ in scope.get("headers", [])}
        if b"authorization" in names and b"cookie" not in names and b"origin" not in names:
            return await self.application(scope, receive, send)
        return await super().__call__(scope, receive, send)


application = ProtocolTypeRouter(
    {
        "http": _http,
        "websocket": SameOrigin(AuthMiddlewareStack(URLRouter(_routes())), [settings.WADAH.url.rstrip("/")]),
    }
)

"""WebSockets only: pages and API are served by `wsgi`."""

import os
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import ParseResult

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.config.settings")
_http = get_asgi_application()

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable  # noqa: E402
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import OriginValidator  # noqa: E402
from django.conf import settings  # noqa: E402

from panel.console.routing import websocket_urlpatterns as consoles  # noqa: E402
from panel.live.routing import websocket_urlpatterns as events  # noqa: E402

if TYPE_CHECKING:
    from channels.consumer import _ChannelScope as Scope
    from channels.routing import _ExtendedURLPattern as Route


class SameOrigin(OriginValidator):
    """Pages of ours only. A program with a bearer token has no origin, and no cookie to be abused."""

    def __init__(self, application: ASGI3Application, allowed_origins: list[str]) -> None:
        super().__init__(application, allowed_origins)
        self._unchecked = application

    def valid_origin(self, parsed_origin: ParseResult | None) -> bool:
        return parsed_origin is not None and super().valid_origin(parsed_origin)

    async def __call__(self, scope: "Scope", receive: ASGIReceiveCallable, send: ASGISendCallable) -> Any:
        names = {name for name, _ in scope.get("headers", [])}
        if b"authorization" in names and b"cookie" not in names and b"origin" not in names:
            return await self._unchecked(scope, receive, send)
        return await super().__call__(scope, receive, send)


#: Django's types know its routes as routes to views.
_routes = cast("list[Route | URLRouter]", [*events, *consoles])
_signed_in = cast("ASGI3Application", AuthMiddlewareStack(URLRouter(_routes)))
application = ProtocolTypeRouter(
    {
        "http": _http,
        "websocket": SameOrigin(_signed_in, [settings.WADAH.url.rstrip("/")]),
    }
)

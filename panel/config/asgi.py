"""WebSockets only: pages and API are served by `wsgi`."""

import os
from typing import TYPE_CHECKING, Any, cast

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.config.settings")
#: Few can wait at once here; background work may for longer.
os.environ.setdefault("WADAH_DATABASE_WAIT_S", "4")
_http = get_asgi_application()

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable  # noqa: E402
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import WebsocketDenier  # noqa: E402

from panel.config.names import headers_of, is_known, is_ours  # noqa: E402
from panel.console.routing import websocket_urlpatterns as consoles  # noqa: E402
from panel.gate.sockets import SocketGate  # noqa: E402
from panel.live.routing import websocket_urlpatterns as events  # noqa: E402
from panel.serving import gc_freeze  # noqa: E402

if TYPE_CHECKING:
    from channels.consumer import _ChannelScope as Scope
    from channels.routing import _ExtendedURLPattern as Route


class SameOrigin:
    """Asked by one of the panel's names, by a page of ours: names.py says which. A program with a bearer token
    has no origin, and no cookie to be abused."""

    def __init__(self, application: ASGI3Application) -> None:
        self.application = application

    async def __call__(self, scope: "Scope", receive: ASGIReceiveCallable, send: ASGISendCallable) -> Any:
        hosts, origins = headers_of(scope, b"host"), headers_of(scope, b"origin")
        names = {name for name, _ in scope.get("headers", [])}
        scheme = (headers_of(scope, b"x-forwarded-proto") or ["http"])[-1]
        if len(hosts) == 1 and is_known(hosts[0]):
            is_program = b"authorization" in names and b"cookie" not in names and not origins
            if is_program or (len(origins) == 1 and is_ours(origins[0], hosts, scheme)):
                return await self.application(scope, receive, send)
        return await WebsocketDenier()(scope, receive, send)


#: Django's types know its routes as routes to views.
_routes = cast("list[Route | URLRouter]", [*events, *consoles])
_signed_in = cast("ASGI3Application", AuthMiddlewareStack(URLRouter(_routes)))
_asked_by_us = cast("ASGI3Application", SameOrigin(_signed_in))
application = ProtocolTypeRouter({"http": _http, "websocket": SocketGate(_asked_by_us, [*events, *consoles])})
gc_freeze.begin()

"""Where archives and files are handed in: their bodies are bytes, which nothing reads as text."""

import re

_FIXED = frozenset({"/api/v1/images/archive", "/images/import"})
_COPY = re.compile(r"/api/v1/(?:environments/[^/]+/(?:cp|files/uploads)|builds/[^/]+/context)")


class _Routes:
    def __contains__(self, path: object) -> bool:
        return path in _FIXED or (isinstance(path, str) and _COPY.fullmatch(path) is not None)


#: The front sends these to the process for archives (`runtime.install.caddyfile`).
ROUTES = _Routes()

#: A file of an environment is written there, by PUT.
FILE = re.compile(r"/api/v1/environments/[^/]+/files/content")

"""Where archives and files are handed in: their bodies are bytes, which nothing reads as text."""

import re

#: The front sends these to the process for archives (`runtime.install.caddyfile`).
ROUTES = frozenset({"/api/v1/images/archive", "/images/import"})

#: A file of an environment is written there, by PUT.
FILE = re.compile(r"/api/v1/environments/[^/]+/files/content")

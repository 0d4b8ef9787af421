"""Where archives are handed in: their bodies are files, which nothing reads as text."""

#: The front sends these to the process for archives (`runtime.install.caddyfile`).
ROUTES = frozenset({"/api/v1/images/archive", "/images/import"})

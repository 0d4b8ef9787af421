"""Where Redis is, as an operator says it: one reading for broker, cache and channel layer, on both sides.

Each client library has its own idea of the same URL; kombu takes schemes that lead past our own transport, and
checks no certificate unless it is asked to.
"""

from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

BROKER_DATABASE, CACHE_DATABASE = 0, 1
#: Files for TLS; the certificate is always checked.
_TLS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_ALWAYS = ("ssl_cert_reqs", "required")
_SOCKETS = frozenset({"unix", "redis+socket"})


def broker_url(url: str) -> str:
    """For kombu. Raises `ValueError` with a sentence for what can't be reached by one transport of ours."""
    return _written(url, BROKER_DATABASE, socket_scheme="redis+socket", database_key="virtual_host")


def client_url(url: str) -> str:
    """For redis-py and channels_redis: another database than the broker's. Raises as `broker_url` does."""
    return _written(url, CACHE_DATABASE, socket_scheme="unix", database_key="db")


def _written(url: str, database: int, *, socket_scheme: str, database_key: str) -> str:
    check(url)
    parts = urlsplit(url)
    if parts.scheme in _SOCKETS:
        return f"{socket_scheme}://{parts.netloc}{parts.path}?{database_key}={database}"
    query = dict(parse_qsl(parts.query))
    files = [(key, query[key]) for key in sorted(query) if key in _TLS]
    more = f"?{urlencode([_ALWAYS, *files], safe='/')}"
    return f"{parts.scheme}://{parts.netloc}/{database}{more if parts.scheme == 'rediss' else ''}"


def check(url: str) -> None:
    """Raises `ValueError` with a sentence. What it says never holds the URL, which may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"the address of Redis can't be read: {error}") from None
    if parts.scheme == "sentinel":
        raise ValueError("Redis Sentinel isn't spoken: name the one Redis, as redis:// or rediss://")
    if parts.scheme not in {"redis", "rediss", *_SOCKETS}:
        raise ValueError("the address of Redis begins with redis://, rediss:// or unix://")
    if ";" in parts.netloc or "," in parts.netloc or ";" in parts.path:
        raise ValueError("the address of Redis is one, not several")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme in _SOCKETS:
        if not parts.path.startswith("/") or parts.path == "/" or query:
            raise ValueError("the address of a socket is unix:///PATH, without options")
        return
    if not parts.hostname:
        raise ValueError("the address of Redis lacks a host")
    if parts.path not in ("", "/", "/0"):
        raise ValueError("the address of Redis names no database: 0 is the broker's, 1 the cache's")
    by_tls = parts.scheme == "rediss"
    if by_tls and query.pop("ssl_cert_reqs", "required").lower() not in ("required", "cert_required"):
        raise ValueError("Redis' certificate is always checked: name its authority by ssl_ca_certs")
    if unknown := sorted(set(query) - (_TLS if by_tls else set())):
        raise ValueError(
            f"the address of Redis has an option that isn't known: {quote(unquote(unknown[0]))[:40]}"
        )

"""HEAD answers as GET does, without its body (RFC 9110, 9.3.2), on every route."""

import pytest
from django.test import Client

from tests.panel.security.walk import routes
from tests.panel.support import factories

_PLAIN = sorted(pattern for pattern, route in routes().items() if "GET" in route.methods and "{" not in pattern)


@pytest.mark.django_db
def test_head_is_get_without_its_body() -> None:
    client = Client(headers=factories.bearer(factories.administrator(), None, "*"))
    assert len([path for path in _PLAIN if path.startswith("/api/")]) > 10
    for path in [*_PLAIN, "/api/v1/nothing", "/api/v1/environments/x", "/api/v1/environments?limit=x"]:
        got, told = client.get(path), client.head(path)
        assert told.status_code == got.status_code, path
        assert told.headers["Content-Type"] == got.headers["Content-Type"], path
        assert not b"".join(told), path
    assert client.head("/api/v1/images/archive").status_code == client.get("/api/v1/images/archive").status_code

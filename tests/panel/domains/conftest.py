from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from panel.environments.models import Environment
from panel.rights.actor import Actor
from runtime.contract import ObservedState
from tests.panel.support import factories
from tests.panel.support.dns import Records, name_server


@pytest.fixture
def actor() -> Actor:
    return factories.administrator()


@pytest.fixture
def row() -> Environment:
    """It runs."""
    factories.node()
    made = factories.environment(factories.tenant())
    factories.reported(made, state=ObservedState.RUNNING)
    made.refresh_from_db()
    return made


@pytest.fixture
def wadah(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Settings of the operator's, changed for one test."""

    def change(**values: Any) -> None:
        copy = settings.WADAH.model_copy(update=values)
        for derived in ("hosts", "scheme", "is_secure", "has_name"):
            copy.__dict__.pop(derived, None)
        monkeypatch.setattr(settings, "WADAH", copy)

    return change


@pytest.fixture
def dns(wadah: Any) -> Iterator[Records]:
    records: Records = {}
    with name_server(records) as place:
        wadah(resolver=place, domains_addresses="192.0.2.80,2001:db8::80")
        yield records

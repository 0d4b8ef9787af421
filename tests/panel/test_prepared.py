"""Querysets whose SQL is built once find what they would find when built anew, for each value that is given."""

import uuid
from datetime import UTC, datetime

import pytest
from django.db.models import BigIntegerField, CharField, DateTimeField, F, Q, UUIDField

from panel.environments.models import Environment
from panel.prepared import Given, Prepared, PreparedUpdate
from panel.tenants.models import Tenant
from runtime.contract import ObservedState
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def test_each_call_finds_the_rows_of_its_own_values() -> None:
    factories.node()
    one, other = factories.tenant(), factories.tenant()
    made = [factories.environment(one), factories.environment(other)]
    asked = Prepared(
        lambda: Environment.objects.select_related("tenant", "node").filter(pk=Given("pk", UUIDField()))
    )
    for environment in (*made, *made):
        found = asked.first(pk=environment.pk)
        assert found == environment
        assert found is not None
        assert found._state.fields_cache["tenant"] == environment.tenant
        assert isinstance(found.tenant_id, uuid.UUID)
        assert found.created_at == Environment.objects.get(pk=environment.pk).created_at
    assert asked.first(pk=uuid.uuid4()) is None


def test_it_is_what_the_same_queryset_finds_today() -> None:
    tenants = sorted((factories.tenant() for _ in range(4)), key=lambda tenant: tenant.name)
    asked = Prepared(
        lambda: (
            Tenant.objects.filter(
                Q(name=Given("name", CharField())) | Q(version__range=(Given("low", BigIntegerField()), 7)),
                created_at__lt=Given("before", DateTimeField()),
                state__in=["active"],
            )
            .order_by("-name")
            .values_list("name", "pk")
        )
    )
    later = datetime(2100, 1, 1, tzinfo=UTC)
    first = tenants[0]
    Tenant.objects.exclude(pk=first.pk).update(version=5)
    assert asked.all(name=first.name, low=6, before=later) == [(first.name, first.pk)]
    everybody = [(one.name, one.pk) for one in reversed(tenants)]
    assert asked.all(name=first.name, low=5, before=later) == everybody
    Tenant.objects.filter(pk=tenants[1].pk).update(state="suspended")
    assert asked.all(name=first.name, low=5, before=later) == [
        row for row in everybody if row[0] != tenants[1].name
    ]
    assert asked.all(name=first.name, low=5, before=datetime(2000, 1, 1, tzinfo=UTC)) == []


def test_its_sql_is_built_once() -> None:
    built = []

    def make() -> object:
        built.append(1)
        return Tenant.objects.filter(pk=Given("pk", UUIDField())).values_list("name", flat=True)[:1]

    asked: Prepared[str] = Prepared(make)  # type: ignore[arg-type]
    tenants = [factories.tenant() for _ in range(3)]
    assert [asked.first(pk=one.pk) for one in tenants] == [one.name for one in tenants]
    assert len(built) == 1


def test_a_value_that_is_not_given_is_an_error() -> None:
    asked = Prepared(lambda: Tenant.objects.filter(pk=Given("pk", UUIDField())))
    with pytest.raises(KeyError):
        asked.all()


def test_an_update_sets_what_each_call_gives() -> None:
    one, other = factories.tenant(), factories.tenant()
    moved = PreparedUpdate(
        lambda: Tenant.objects.filter(
            pk=Given("pk", UUIDField()), version__lte=Given("most", BigIntegerField())
        ),
        lambda: {
            "version": F("version") + Given("more", BigIntegerField()),
            "name": Given("name", CharField()),
        },
    )
    was = one.version
    for more in (1, 2):
        assert moved.run(pk=one.pk, most=2**62, more=more, name=f"by {more}") == 1
    assert moved.run(pk=one.pk, most=was, more=100, name="never") == 0
    assert moved.run(pk=uuid.uuid4(), most=2**62, more=1, name="nobody") == 0
    one.refresh_from_db()
    assert (one.version, one.name) == (was + 3, "by 2")
    assert Tenant.objects.get(pk=other.pk).version == other.version


def test_a_row_is_written_as_it_would_be_saved() -> None:
    """Every kind of column: text, choices, numbers, times, documents, nothing."""
    factories.node()
    environment = factories.environment(factories.tenant())
    names = ["observed_state", "observed_generation", "started_at", "is_at_work", "intent"]
    values = {
        "observed_state": ObservedState.PAUSED,
        "observed_generation": 7,
        "started_at": datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
        "is_at_work": True,
        "intent": {"cpu": 1.5, "what": ["é", None]},
    }
    write = PreparedUpdate.of_row(Environment, names)
    assert write.run(pk=environment.pk, **values) == 1
    written = Environment.objects.get(pk=environment.pk)
    assert {name: getattr(written, name) for name in names} == values
    assert write.run(pk=environment.pk, **{**values, "started_at": None}) == 1
    assert Environment.objects.get(pk=environment.pk).started_at is None
    with pytest.raises(KeyError):
        write.run(pk=environment.pk)

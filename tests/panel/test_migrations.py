"""V07: the newest migration of each app goes back and forth with rows in the tables, and costs none of them.

`./wadah up` stops the panel's processes before it migrates, so none of an older version writes meanwhile; what
is tried here is that a version can be taken back, and that all rows are there after it came again. Of a column
that only the newest version knows, going back keeps nothing: these rows have its default.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from panel.audit.services import record
from panel.audit.verify import verify
from panel.upkeep.management.commands.prepare import refuse_half_way
from tests.panel.support import factories

pytestmark = pytest.mark.django_db(transaction=True)


def _leaves() -> dict[str, str]:
    """App label to its newest migration."""
    return dict(MigrationExecutor(connection).loader.graph.leaf_nodes())


def _migrate(*targets: tuple[str, str | None]) -> None:
    MigrationExecutor(connection).migrate(list(targets))


LABELS = sorted(
    app.label for app in apps.get_app_configs() if app.name.startswith("panel.") and any(app.get_models())
)


@pytest.fixture
def world() -> Iterator[None]:
    """A row in most tables; whatever happens, the newest schema is there afterwards."""
    factories.node("alpha")
    parent = factories.tenant()
    who = factories.administrator()
    factories.member(parent)
    factories.bearer(who, parent, "*")
    for _ in range(3):
        factories.environment(parent)
    factories.gone(factories.environment(parent))
    record(who, "test.deed", tenant_id=parent.pk)
    try:
        yield
    finally:
        _migrate(*_leaves().items())


def _rows() -> dict[str, list[tuple[Any, ...]]]:
    """Of every table of ours, all that stands in it."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with connection.cursor() as cursor:
        for model in apps.get_models(include_auto_created=True):
            if model.__module__.startswith("panel."):
                table = connection.ops.quote_name(model._meta.db_table)
                columns = ", ".join(
                    connection.ops.quote_name(field.column) for field in model._meta.local_concrete_fields
                )
                cursor.execute(f"SELECT {columns} FROM {table}")
                found[model._meta.label] = sorted((repr(row),) for row in cursor.fetchall())
    return found


@pytest.mark.parametrize("label", LABELS)
def test_the_newest_goes_back_and_forth(world: None, label: str) -> None:
    newest = _leaves()[label]
    graph = MigrationExecutor(connection).loader.graph
    before = [one.key[1] for one in graph.node_map[label, newest].parents if one.key[0] == label]
    if not before or graph.nodes[label, newest].replaces:
        pytest.skip("there is nothing before it")
    rows = _rows()
    assert rows["environments.Environment"]
    _migrate((label, before[0]))
    _migrate(*_leaves().items())
    assert _rows() == rows
    assert verify()[1] == []


def test_a_database_of_half_of_the_steps_is_refused_in_words() -> None:
    """Its tables aren't those that the rest begins at."""
    recorder = MigrationRecorder(connection)
    later = [
        key for key in recorder.applied_migrations() if key[0] == "environments" and key[1] > "0002_heard_at"
    ]
    for step in later:
        recorder.record_unapplied(*step)
    try:
        with pytest.raises(CommandError, match=r"older .* environments has no “0003_plans_and_traffic”"):
            refuse_half_way()
    finally:
        for step in later:
            recorder.record_applied(*step)
    refuse_half_way()

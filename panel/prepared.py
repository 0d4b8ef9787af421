"""Querysets, and updates of them, whose SQL is built once per process.

Django builds the SQL of a queryset anew each time, which takes it several times as long as the database takes
to answer from an index. Where one request asks many such questions, or every request asks one, the queryset is
written once with `Given` in the place of what changes.

It is worth half of the panel's processor time for a create: 19.0 ms with all of them, 38.9 with SQL that is
built anew; of the thirteen that it asks, 0.7 to 3 each (40 creates of each in turns by the service, SQLite,
2026-11-30, on a busy machine). One that saves less isn't worth it: of those that there are, each takes 0.04 to
1 ms of the processor, and 0.8 to 5.7 with SQL that is built anew (40 times each, SQLite, same day and machine).
"""

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression
from django.db.models.sql import UpdateQuery
from django.db.models.sql.compiler import SQLCompiler

RowT = TypeVar("RowT")
Values = dict[str, Any]


class Given(Expression):
    """A value that each call names; converted as the field converts it."""

    def __init__(self, name: str, field: "models.Field[Any, Any]"):
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
        return "%s", [self]

    def converted(self, values: dict[str, Any], connection: BaseDatabaseWrapper) -> Any:
        return self.output_field.get_db_prep_value(values[self.name], connection)


class Prepared(Generic[RowT]):
    """`Prepared(lambda: Token.objects.filter(pk=Given("pk", UUIDField())))`, asked by `.all(pk=…)`.

    Only for querysets of one shape: none that depends on who asks, none with a list of changing length. The
    rows are whatever the queryset yields: instances (with `select_related`), tuples or single values.
    """

    def __init__(self, make: Callable[[], "models.QuerySet[Any, RowT]"]):
        self._make = make

    def all(self, **values: Any) -> list[RowT]:
        """`KeyError` for a value that the queryset needs and that isn't given."""
        rows, compiler, sql, slots = self._built()
        told = _filled(slots, values, compiler.connection)
        compiler.as_sql = lambda *_, **__: (sql, told)  # type: ignore[method-assign]
        iterable: Any = rows._iterable_class
        return list(iterable(rows))

    def first(self, **values: Any) -> RowT | None:
        """The first row in the queryset's own order, or None; it says `[:1]` itself where there may be more."""
        return next(iter(self.all(**values)), None)

    def _built(self) -> tuple["models.QuerySet[Any, RowT]", SQLCompiler, str, tuple[Any, ...]]:
        kept = _kept()
        if self not in kept:
            rows = self._make()
            compiler = rows.query.get_compiler(DEFAULT_DB_ALIAS)
            sql, slots = compiler.as_sql()
            rows.query.get_compiler = lambda *_, **__: compiler  # type: ignore[method-assign]
            kept[self] = rows, compiler, sql, tuple(slots)
        return kept[self]  # type: ignore[no-any-return]


class PreparedUpdate:
    """`PreparedUpdate(rows, sets)` of two functions: a queryset of one table, and what to set by column, both
    with `Given` in them, such as `{"placed": F("placed") + Given("more", IntegerField())}`."""

    def __init__(self, make: "Callable[[], models.QuerySet[Any, Any]]", sets: Callable[[], Values]):
        self._make = make
        self._sets = sets

    @classmethod
    def of_row(cls, model: type[models.Model], names: Iterable[str]) -> "PreparedUpdate":
        """Sets these fields of the row `pk`, each by its name; what `save(update_fields=…)` does, without its
        signals and without fields that set themselves."""
        key = model._meta.pk
        known = {field.name: field for field in model._meta.concrete_fields}
        fields = [known[name] for name in names]
        rows = model._default_manager
        return cls(
            lambda: rows.filter(pk=Given("pk", key)),
            lambda: {field.name: Given(field.name, field) for field in fields},
        )

    def run(self, **values: Any) -> int:
        """How many rows there were. `KeyError` for a value that it needs and that isn't given."""
        connection = connections[DEFAULT_DB_ALIAS]
        sql, slots = self._built()
        with connection.cursor() as cursor:
            cursor.execute(sql, _filled(slots, values, connection))
            return int(cursor.rowcount)

    def _built(self) -> tuple[str, tuple[Any, ...]]:
        kept = _kept()
        if self not in kept:
            query: Any = self._make().query.chain(UpdateQuery)
            query.add_update_values(self._sets())
            sql, slots = query.get_compiler(DEFAULT_DB_ALIAS).as_sql()
            kept[self] = sql, tuple(slots)
        return kept[self]  # type: ignore[no-any-return]


def _kept() -> dict[Any, Any]:
    """What was built, with the connection that it is for, of which each thread has its own."""
    return connections[DEFAULT_DB_ALIAS].__dict__.setdefault("_wadah_prepared", {})  # type: ignore[no-any-return]


def _filled(slots: tuple[Any, ...], values: Values, connection: BaseDatabaseWrapper) -> tuple[Any, ...]:
    return tuple(one.converted(values, connection) if isinstance(one, Given) else one for one in slots)

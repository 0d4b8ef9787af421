"""The lookup `finds`: whether a text holds another one, upper or lower case, in every script.

SQLite's own LIKE folds the case of ASCII alone (https://sqlite.org/lang_expr.html#like).
"""

from functools import reduce
from operator import or_
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import CharField, Q, TextField
from django.db.models.lookups import IContains
from django.db.models.sql.compiler import SQLCompiler


@CharField.register_lookup
@TextField.register_lookup
class Finds(IContains):
    lookup_name = "finds"

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, Any]:
        """Where the database folds case in every script by itself."""
        return IContains(self.lhs, self.rhs).as_sql(compiler, connection)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, list[Any]]:
        connection.ensure_connection()
        made: Any = connection.connection
        made.create_function("wadah_finds", 2, _finds, deterministic=True)
        column, values = self.process_lhs(compiler, connection)
        return f"wadah_finds({column}, %s)", [*values, str(self.rhs)]


def _finds(text: str | None, part: str) -> bool:
    return text is not None and part.casefold() in text.casefold()


def finds(text: str, *fields: str) -> Q:
    """Rows that have the text in one of these fields, related ones included."""
    return reduce(or_, (Q(**{f"{field}__finds": text}) for field in fields))

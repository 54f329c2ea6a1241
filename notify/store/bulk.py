"""Rows written column by column: one statement whatever their number, and hardly any work for each row."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import repeat
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from notify.store.tables.columns import UtcDateTime, aware

Column = Sequence[Any] | str | int | datetime | UUID | None
"""A list with a value for each row, or one value for all of them."""


def insert(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Column]) -> None:
    """Insert rows given as columns by name, at least one of them a list."""
    if connection.dialect.name == "sqlite":
        _each(connection, table, list(columns), _rows(connection, table, columns))
    else:
        texts = (_as_text(table.c[name], value) for name, value in columns.items())
        _copy(connection, table, list(columns), _across(texts))


def insert_new(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Column]) -> int:
    """The same, but a row that would stand against a unique key is left out. Returns how many were inserted."""
    if connection.dialect.name == "sqlite":
        return _each(connection, table, list(columns), _rows(connection, table, columns), "ON CONFLICT DO NOTHING")
    listed = tuple(name for name, value in columns.items() if isinstance(value, list))
    return connection.execute(_unnesting(table, tuple(columns), listed), dict(columns)).rowcount


@cache
def _unnesting(table: sa.Table, names: Sequence[str], listed: Sequence[str]) -> sa.TextClause:
    """PostgreSQL: one statement, with an array for each of the columns `listed`."""
    values = ", ".join(f"given.{name}" if name in listed else f":{name}" for name in names)
    arrays = ", ".join(f":{name}" for name in listed)
    statement = (
        f"INSERT INTO {table.name} ({', '.join(names)}) "  # noqa: S608 - names of ours
        f"SELECT {values} FROM unnest({arrays}) AS given({', '.join(listed)}) ON CONFLICT DO NOTHING"
    )
    types = {name: table.c[name].type for name in names}
    return sa.text(statement).bindparams(
        *(sa.bindparam(name, type_=ARRAY(types[name]) if name in listed else types[name]) for name in names)
    )


def _copy(connection: sa.Connection, table: sa.Table, names: Sequence[str], rows: Iterable[Any]) -> None:
    """PostgreSQL: COPY, at a third of what an INSERT of arrays costs. Raises as SQLAlchemy would: it has no COPY."""
    statement = f"COPY {table.name} ({', '.join(names)}) FROM STDIN"
    line: Any = connection.connection
    dialect: Any = connection.dialect
    try:
        with line.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        if dialect.is_disconnect(error, line.driver_connection, None):
            connection.invalidate(error)
        raise sa.exc.DBAPIError.instance(statement, None, error, psycopg.Error, dialect=dialect) from error


def _each(
    connection: sa.Connection, table: sa.Table, names: Sequence[str], rows: Iterable[Any], unless: str = ""
) -> int:
    """SQLite: one prepared statement, stepped through for each row. Returns how many were inserted."""
    marks = ", ".join("?" * len(names))
    statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks}) {unless}"  # noqa: S608 - names of ours
    return connection.exec_driver_sql(statement, list(rows)).rowcount


def _rows(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Column]) -> Iterable[Any]:
    return _across(_as_bound(connection.dialect, table.c[name], value) for name, value in columns.items())


def _across(columns: Iterable[Any]) -> Iterable[Any]:
    return zip(*(value if isinstance(value, list) else repeat(value) for value in columns), strict=False)


def _as_text(column: sa.Column[Any], value: Column) -> Any:
    """The value or values as COPY reads them: the driver takes text as it is, and for others asks Python each time."""
    written = _writer(column)
    if not isinstance(value, list):
        return value if written is None else written(value)
    return value if written is None else [written(each) for each in value]


def _writer(column: sa.Column[Any]) -> Callable[[Any], str | None] | None:
    if isinstance(column.type, sa.Uuid):
        return lambda one: None if one is None else one.hex
    if isinstance(column.type, UtcDateTime):
        return lambda one: None if one is None else aware(one).isoformat()
    if isinstance(column.type, sa.JSON):
        return json.dumps
    return None


def _as_bound(dialect: sa.Dialect, column: sa.Column[Any], value: Column) -> Any:
    """The value or values in the form in which the driver takes them."""
    bind = column.type.dialect_impl(dialect).bind_processor(dialect)
    if not isinstance(value, list):
        return value if bind is None else bind(value)
    return value if bind is None else [bind(each) for each in value]

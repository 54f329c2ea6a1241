"""Rows written column by column: one statement whatever their number, and hardly any work for each row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy as sa

Column = Sequence[Any] | str | int | datetime | UUID | None
"""A list with a value for each row, or one value for all of them."""


def insert(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Column]) -> None:
    """Insert rows given as columns by name, at least one of them a list."""
    given = [_as_bound(connection.dialect, table.c[name], value) for name, value in columns.items()]
    rows = zip(*(value if isinstance(value, list) else repeat(value) for value in given), strict=False)
    write = _each if connection.dialect.name == "sqlite" else _copy
    write(connection, table, list(columns), rows)


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


def _each(connection: sa.Connection, table: sa.Table, names: Sequence[str], rows: Iterable[Any]) -> None:
    """SQLite: one prepared statement, stepped through for each row."""
    marks = ", ".join("?" * len(names))
    statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - names of ours
    connection.exec_driver_sql(statement, list(rows))


def _as_bound(dialect: sa.Dialect, column: sa.Column[Any], value: Column) -> Any:
    """The value or values in the form in which the driver takes them."""
    bind = column.type.dialect_impl(dialect).bind_processor(dialect)
    if not isinstance(value, list):
        return value if bind is None else bind(value)
    return value if bind is None else [bind(each) for each in value]

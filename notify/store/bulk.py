"""Rows written column by column: one statement whatever their number, and hardly any work for each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import repeat
from typing import Any
from uuid import UUID

import sqlalchemy as sa

Column = Sequence[Any] | str | int | datetime | UUID | None
"""A list with a value for each row, or one value for all of them."""


def insert(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Column], *, once: bool = False) -> None:
    """Insert rows given as columns by name, at least one of them a list.

    With `once`, rows whose primary key is there already are left as they are.
    """
    given = {name: _as_bound(connection.dialect, table.c[name], value) for name, value in columns.items()}
    key = ", ".join(column.name for column in table.primary_key)
    conflict = f" ON CONFLICT ({key}) DO NOTHING" if once else ""
    write = _each if connection.dialect.name == "sqlite" else _unnest
    write(connection, table, given, conflict)


def _unnest(connection: sa.Connection, table: sa.Table, given: Mapping[str, Any], conflict: str) -> None:
    """PostgreSQL: an array for each column that differs, a parameter for each that does not."""
    arrays = {name: value for name, value in given.items() if isinstance(value, list)}
    single = {name: value for name, value in given.items() if name not in arrays}
    types = {name: table.c[name].type.compile(dialect=connection.dialect) for name in given}
    chosen = ", ".join([*arrays, *(f"%s::{types[name]}" for name in single)])
    unnested = ", ".join(f"%s::{types[name]}[]" for name in arrays)
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({', '.join([*arrays, *single])}) SELECT {chosen}"  # noqa: S608 - names of ours
        f" FROM unnest({unnested}) AS given ({', '.join(arrays)}){conflict}",
        (*single.values(), *arrays.values()),
    )


def _each(connection: sa.Connection, table: sa.Table, given: Mapping[str, Any], conflict: str) -> None:
    """SQLite: one prepared statement, stepped through for each row."""
    marks = ", ".join("?" * len(given))
    rows = zip(*(value if isinstance(value, list) else repeat(value) for value in given.values()), strict=False)
    connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({', '.join(given)}) VALUES ({marks}){conflict}",  # noqa: S608 - names of ours
        list(rows),
    )


def _as_bound(dialect: sa.Dialect, column: sa.Column[Any], value: Column) -> Any:
    """The value or values in the form in which the driver takes them."""
    bind = column.type.dialect_impl(dialect).bind_processor(dialect)
    if not isinstance(value, list):
        return value if bind is None else bind(value)
    return value if bind is None else [bind(each) for each in value]

"""What SQLite and PostgreSQL say in words of their own: the same rows on both, in one statement however many values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

Upsert = sqlite.Insert | postgresql.Insert


def upsert(connection: sa.Connection, table: sa.Table) -> Upsert:
    """`INSERT` with `on_conflict_…` in the connection's dialect."""
    return upsert_on(connection.dialect.name, table)


def upsert_on(dialect: str, table: sa.Table) -> Upsert:
    """The same for a statement that is built once and kept: building costs as much as executing."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def any_of(connection: sa.Connection, column: sa.ColumnElement[Any], values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """`column` is one of `values`: one bound parameter however many there are, so that the statement is cached."""
    dialect = connection.dialect.name
    return _any(dialect, column, sa.bindparam(None, list(values), type_=list_of(dialect, column)))


def any_bound(dialect: str, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
    """The same for a statement that is built once and kept: the list is bound to `name` when it is executed."""
    return _any(dialect, column, sa.bindparam(name, type_=list_of(dialect, column)))


def each_bound(dialect: str, column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[Any]:
    """A row for each of the values bound to `name`: to ask about them one by one, by an index, however many."""
    values = sa.bindparam(name, type_=list_of(dialect, column))
    if dialect == "sqlite":
        each = sa.func.json_each(values).table_valued("value")
    else:
        each = sa.func.unnest(values).table_valued("value").render_derived(name="given")
    found: sa.ColumnElement[Any] = each.c.value
    return found


class _JsonArray(sa.types.TypeDecorator[list[Any]]):
    """A list as SQLite's json_each reads it, with ids as the tables hold them."""

    impl = sa.JSON
    cache_ok = True

    def process_bind_param(self, value: list[Any] | None, dialect: sa.Dialect) -> list[Any]:
        """To the database."""
        return [one.hex if isinstance(one, UUID) else one for one in value or ()]


def list_of(dialect: str, column: sa.ColumnElement[Any]) -> sa.types.TypeEngine[Any]:
    """The type of a bound list of what the column holds: an array, or JSON on SQLite."""
    return _JsonArray() if dialect == "sqlite" else postgresql.ARRAY(column.type)


def _any(dialect: str, column: sa.ColumnElement[Any], values: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    if dialect == "sqlite":
        return column.in_(sa.select(sa.func.json_each(values).table_valued("value").c.value))
    return column == sa.any_(values)

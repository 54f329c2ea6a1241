"""Rows written column by column: one statement whatever their number, and hardly any work for each row."""

from __future__ import annotations

import json
import re
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

_NULL = r"\N"  # PostgreSQL, COPY: text format
_NUL = "\0"  # in no text of PostgreSQL
_SPECIAL = re.compile(r"[\\\t\n\r]")
_AS_JSON = json.JSONEncoder(check_circular=False).encode


def insert(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Column]) -> None:
    """Insert rows given as columns by name, at least one of them a list."""
    ready(connection, table, columns)()


def ready(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Column]) -> Callable[[], None]:
    """What inserts these rows when it is called: by then nearly all that is left to do is the database's."""
    names = list(columns)
    if connection.dialect.name == "sqlite":
        rows = list(_rows(connection, table, columns))

        def write() -> None:
            _each(connection, table, names, rows)

        return write
    block = _block([_fields(table.c[name], value) for name, value in columns.items()])
    return lambda: _copy(connection, table, names, block)


def insert_new(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Column]) -> int:
    """The same, but a row that would stand against a unique key is left out. Returns how many were inserted."""
    if connection.dialect.name == "sqlite":
        rows = list(_rows(connection, table, columns))
        return _each(connection, table, list(columns), rows, "ON CONFLICT DO NOTHING")
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


def _copy(connection: sa.Connection, table: sa.Table, names: Sequence[str], block: str) -> None:
    """PostgreSQL: COPY, at a third of what an INSERT of arrays costs. Raises as SQLAlchemy would: it has no COPY."""
    statement = f"COPY {table.name} ({', '.join(names)}) FROM STDIN"
    line: Any = connection.connection
    dialect: Any = connection.dialect
    try:
        with line.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(block)
    except psycopg.Error as error:
        if dialect.is_disconnect(error, line.driver_connection, None):
            connection.invalidate(error)
        raise sa.exc.DBAPIError.instance(statement, None, error, psycopg.Error, dialect=dialect) from error


def _each(
    connection: sa.Connection, table: sa.Table, names: Sequence[str], rows: Sequence[Any], unless: str = ""
) -> int:
    """SQLite: one prepared statement, stepped through for each row. Returns how many were inserted."""
    marks = ", ".join("?" * len(names))
    statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({marks}) {unless}"  # noqa: S608 - names of ours
    return connection.exec_driver_sql(statement, rows).rowcount


def _rows(connection: sa.Connection, table: sa.Table, columns: Mapping[str, Column]) -> Iterable[Any]:
    return _across(_as_bound(connection.dialect, table.c[name], value) for name, value in columns.items())


def _across(columns: Iterable[Any]) -> Iterable[Any]:
    return zip(*(value if isinstance(value, list) else repeat(value) for value in columns), strict=False)


def _block(columns: Iterable[Any]) -> str:
    """Rows as COPY reads them in text format."""
    return "".join([f"{row}\n" for row in map("\t".join, _across(columns))])


def _fields(column: sa.Column[Any], value: Column) -> list[str] | str:
    """The value or values as COPY reads them: written here, for the driver would ask Python about each of them."""
    return _texts(column, value) if isinstance(value, list) else _texts(column, [value])[0]


def _texts(column: sa.Column[Any], values: list[Any]) -> list[str]:
    texts = _as_texts(column, values)
    if _SPECIAL.search("".join(filter(None, texts))):
        texts = _all_escaped(texts)
    return [_NULL if one is None else one for one in texts]


def _as_texts(column: sa.Column[Any], values: list[Any]) -> list[str | None]:
    write = _writer(column)
    if write is None:
        return values
    if not isinstance(column.type, sa.JSON):
        return [None if one is None else write(one) for one in values]
    texts, last, text = list[str | None](), object(), None
    for one in values:
        if one is not last:  # many rows in a row share one list of tags
            last, text = one, None if one is None else write(one)
        texts.append(text)
    return texts


def _writer(column: sa.Column[Any]) -> Callable[[Any], str] | None:
    match column.type:
        case sa.Text():
            return None
        case sa.Uuid():
            return _hex
        case UtcDateTime():
            return lambda moment: aware(moment).isoformat()
        case sa.JSON():
            return _AS_JSON
        case sa.Integer() | sa.Boolean():
            return str
    raise NotImplementedError(f"{column}: how COPY reads this type is not known here")


def _all_escaped(texts: list[str | None]) -> list[str | None]:
    """Each of them escaped: all at once, unless one holds what tells them apart, which PostgreSQL refuses then."""
    given = [one or "" for one in texts]
    escaped = _escaped(_NUL.join(given)).split(_NUL)
    if len(escaped) != len(given):
        escaped = list(map(_escaped, given))
    return [None if one is None else other for one, other in zip(texts, escaped, strict=True)]


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")


def _hex(one: UUID) -> str:
    return one.hex


def _as_bound(dialect: sa.Dialect, column: sa.Column[Any], value: Column) -> Any:
    """The value or values in the form in which the driver takes them."""
    bind = column.type.dialect_impl(dialect).bind_processor(dialect)
    if not isinstance(value, list):
        return value if bind is None else bind(value)
    return value if bind is None else [bind(each) for each in value]

"""What an attribute or a tag is compared with, alike on both databases: true or false, never unknown.

A value that is missing, or of another type than it is compared with, makes a comparison false. Names and values are
parameters of the statement, never a part of its text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from notify.store.tables import recipients

Sort = Literal["text", "number", "truth", "list", "any"]
Test = Callable[[sa.ColumnElement[Any]], sa.ColumnElement[bool]]

_POSTGRESQL = {"text": ("string",), "number": ("number",), "truth": ("boolean",), "list": ("array",)}
_SQLITE = {"text": ("text",), "number": ("integer", "real"), "truth": ("true", "false"), "list": ("array",)}


@dataclass(frozen=True, slots=True)
class Json:
    """The way to a value in a column of JSON: names of objects within objects, none for the column itself."""

    column: sa.Column[Any]
    path: tuple[str, ...]
    dialect: str

    def holds(self, sort: Sort, test: Test) -> sa.ColumnElement[bool]:
        """There is a value of this sort, and it passes the test.

        The test sees a number, a text, or for `truth` the texts `true` and `false`.
        """
        return self._on_sqlite(sort, test) if self.dialect == "sqlite" else self._on_postgresql(sort, test)

    def has(self, words: Sequence[str], *, every: bool) -> sa.ColumnElement[bool]:
        """There is a list, and one of these texts is in it, or every one."""
        if self.dialect != "sqlite":
            value = self._value()
            array = sa.cast(list(words), sa.ARRAY(sa.Text))
            held = value.op("?&" if every else "?|", is_comparison=True)(array)
            return sa.case((sa.func.jsonb_typeof(value) == "array", held), else_=sa.false())
        return _joined(every, [self._item(group) for group in ([[word] for word in words] if every else [words])])

    def is_set(self) -> sa.ColumnElement[bool]:
        """There is a value, be it empty, and it is not null."""
        if self.dialect == "sqlite":
            return self._on_sqlite("any", lambda _: sa.true())
        return sa.func.coalesce(sa.func.jsonb_typeof(self._value()) != "null", sa.false())

    # PostgreSQL. CASE keeps a cast from being tried on a value of another type; with AND it might be.

    def _value(self) -> sa.ColumnElement[Any]:
        value: sa.ColumnElement[Any] = self.column
        for name in self.path:
            value = value.op("->", return_type=JSONB())(sa.cast(name, sa.Text))
        return value

    def _on_postgresql(self, sort: Sort, test: Test) -> sa.ColumnElement[bool]:
        value = self._value()
        within = value.op("#>>", return_type=sa.Text())(sa.cast([], sa.ARRAY(sa.Text)))
        seen = sa.cast(within, sa.Numeric) if sort == "number" else sa.collate(within, "C")
        return sa.case((sa.func.jsonb_typeof(value).in_(_POSTGRESQL[sort]), test(seen)), else_=sa.false())

    # SQLite. What json_each names is decoded, as json_extract's own paths are not.

    def _on_sqlite(self, sort: Sort, test: Test) -> sa.ColumnElement[bool]:
        value, found, within = self._way()
        seen = value.c.type if sort == "truth" else value.c.value
        typed = value.c.type != "null" if sort == "any" else value.c.type.in_(_SQLITE[sort])
        return sa.exists(sa.select(sa.literal(1)).select_from(found).where(*within, typed, test(seen)))

    def _item(self, words: Sequence[str]) -> sa.ColumnElement[bool]:
        if not self.path:
            item = _each(self.column, "item")
            return sa.exists(sa.select(sa.literal(1)).where(item.c.type == "text", item.c.value.in_(words)))
        value, found, within = self._way()
        item = _each(sa.case((value.c.type == "array", value.c.value), else_="[]"), "item")
        held = found.join(item, sa.true())
        listed = (item.c.type == "text", item.c.value.in_(words))
        return sa.exists(sa.select(sa.literal(1)).select_from(held).where(*within, *listed))

    def _way(self) -> tuple[Any, Any, list[sa.ColumnElement[bool]]]:
        """The row of json_each that is the value, what to select it from, and how it is found there."""
        value = _each(self.column, "step0")
        found: Any = value
        within = [value.c.key == self.path[0]]
        for number, name in enumerate(self.path[1:], start=1):
            value = _each(sa.case((value.c.type == "object", value.c.value), else_="{}"), f"step{number}")
            found = found.join(value, sa.true())
            within.append(value.c.key == name)
        return value, found, within


def attribute(path: tuple[str, ...], dialect: str) -> Json:
    """The attribute that these names lead to."""
    return Json(recipients.c.attributes, path, dialect)


def tags(dialect: str) -> Json:
    """The recipient's tags."""
    return Json(recipients.c.tags, (), dialect)


def choice(category: str, channel: str, dialect: str) -> Json:
    """What the recipient chose of a category on a channel."""
    return Json(recipients.c.preferences, ("choices", category, channel), dialect)


def _each(source: Any, name: str) -> Any:
    columns: tuple[sa.ColumnClause[Any], ...] = (
        sa.column("key", sa.Text),
        sa.column("type", sa.Text),
        sa.column("value"),
    )
    return sa.func.json_each(source).table_valued(*columns, name=name)


def _joined(every: bool, parts: Sequence[sa.ColumnElement[bool]]) -> sa.ColumnElement[bool]:
    return sa.and_(*parts) if every else sa.or_(*parts)

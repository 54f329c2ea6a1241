"""Segments by name, and who is in one: saved, counted, shown, explained. Each change leaves an audit row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from notify.app import App
from notify.audience.segments.checks import terms
from notify.audience.segments.grammar import parse
from notify.audience.segments.meaning import asked, expression_of
from notify.audience.segments.names import require_name
from notify.errors import InvalidSegment, NotFound, did_you_mean
from notify.model.segment import Condition, Every, Not, Some
from notify.store import audit, segments, tenants
from notify.store.segments import Member, Saved

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Preview:
    """How many are in a segment, and some of them in the order of keys; `after` names where the next page begins."""

    expression: str
    count: int
    members: tuple[Member, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A part of an expression as it stands there, and whether it holds. `joined` says how its parts are: and, or, not.

    `str()` draws the tree.
    """

    text: str
    holds: bool
    joined: str = ""
    parts: tuple[Answer, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, depth: int = 0) -> Iterator[str]:
        """A line for each part, below the one it is part of."""
        yield f"{'  ' * depth}{'yes' if self.holds else 'no':3}  {self.joined or self.text}"
        for part in self.parts:
            yield from part.lines(depth + 1)

    def as_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        own: dict[str, Any] = {"text": self.text, "holds": self.holds}
        return {**own, "joined": self.joined, "parts": [part.as_json() for part in self.parts]} if self.parts else own


def add(app: App, name: str, expression: str, *, actor: str, replace: bool = False, tenant: str | None = None) -> Saved:
    """Save a segment; with `replace`, in place of one of that name. Raises `InvalidSegment`."""
    name, now = require_name(name), app.clock.now()
    parse(expression)
    expression = expression.strip()
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        asked(app, connection, tenant_id, expression, now)
        before = segments.find(connection, tenant_id, name)
        if before is not None and not replace and before.expression != expression:
            raise InvalidSegment(
                f"there is a segment {name!r} already: {before.expression}\nNext: choose another name, or replace "
                "it with --replace (replace=True)."
            )
        if before is None or before.expression != expression:
            segments.save(connection, tenant_id, name, expression, now)
            detail = {"expression": expression, "before": before.expression if before else None}
            audit.write(connection, tenant_id, actor=actor, action="segment.saved", subject=name, detail=detail, at=now)
        found = segments.find(connection, tenant_id, name)
    assert found is not None
    return found


def remove(app: App, name: str, *, actor: str, tenant: str | None = None) -> None:
    """Forget a segment. What goes to it already goes on. Raises `NotFound`."""
    now = app.clock.now()
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        found = segments.find(connection, tenant_id, name) or _none(segments.listing(connection, tenant_id), name)
        segments.remove(connection, tenant_id, name)
        detail = {"expression": found.expression}
        audit.write(connection, tenant_id, actor=actor, action="segment.removed", subject=name, detail=detail, at=now)


def get(app: App, name: str, *, tenant: str | None = None) -> Saved:
    """The segment of this name. Raises `NotFound`."""
    with app.store.read() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        return segments.find(connection, tenant_id, name) or _none(segments.listing(connection, tenant_id), name)


def listing(app: App, *, tenant: str | None = None) -> list[Saved]:
    """Every saved segment, in the order of names."""
    with app.store.read() as connection:
        return segments.listing(connection, tenants.tenant_id(connection, tenant))


def count(app: App, wanted: str, *, tenant: str | None = None) -> int:
    """How many recipients are in a segment, saved or as an expression. Raises `InvalidSegment` or `NotFound`."""
    with app.store.read() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        expression = expression_of(connection, tenant_id, wanted)
        return segments.count(connection, asked(app, connection, tenant_id, expression, app.clock.now()))


def preview(app: App, wanted: str, *, after: str = "", limit: int = SHOWN, tenant: str | None = None) -> Preview:
    """How many are in a segment, and the first of them after a key. Raises `InvalidSegment` or `NotFound`."""
    with app.store.read() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        expression = expression_of(connection, tenant_id, wanted)
        question = asked(app, connection, tenant_id, expression, app.clock.now())
        total = segments.count(connection, question)
        found = segments.members(connection, question, after=after, limit=limit + 1)
    shown = found[:limit]
    return Preview(expression, total, tuple(shown), shown[-1].key if len(found) > limit else None)


def explain(app: App, wanted: str, key: str, *, tenant: str | None = None) -> Answer:
    """Which parts of a segment hold for one recipient, and which do not.

    Raises `InvalidSegment`, or `NotFound` for a segment or a recipient that there is not.
    """
    now = app.clock.now()
    with app.store.read() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        expression = expression_of(connection, tenant_id, wanted)
        condition = asked(app, connection, tenant_id, expression, now).condition
        held = segments.answers(connection, tenant_id, key, list(terms(condition)), now)
    if held is None:
        raise NotFound(f"there is no recipient {key!r:.60}\nNext: notify recipients list")
    return _answer(condition, expression, iter(held))


def _answer(condition: Condition, expression: str, held: Iterator[bool]) -> Answer:
    text = " ".join(expression[condition.span.start : condition.span.end].split())
    match condition:
        case Every(parts) | Some(parts):
            below = tuple(_answer(part, expression, held) for part in parts)
            every = isinstance(condition, Every)
            holds = all(one.holds for one in below) if every else any(one.holds for one in below)
            return Answer(text, holds, "all of" if every else "any of", below)
        case Not(part):
            inner = _answer(part, expression, held)
            if part.span == condition.span:  # `opened never` is a term of its own
                return Answer(text, not inner.holds)
            return Answer(text, not inner.holds, "not", (inner,))
    return Answer(text, next(held))


def _none(known: list[Saved], name: str) -> Saved:
    near = did_you_mean(name, [one.name for one in known])
    raise NotFound(f"there is no segment {name!r:.60}{near}\nNext: notify segments list")

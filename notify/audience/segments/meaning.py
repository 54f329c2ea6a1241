"""What an expression means in this installation: a saved name becomes its expression, a category the kinds it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from notify.app import App
from notify.audience.ruling import rules
from notify.audience.segments.checks import each, require_known
from notify.audience.segments.grammar import parse
from notify.audience.segments.names import saved_name
from notify.errors import InvalidKind, NotFound, did_you_mean
from notify.model.segment import Agreed, Engaged, Term, Wants
from notify.policy.rules import Rules
from notify.store import Connection, segments
from notify.store.segments import Asked


def expression_of(connection: Connection, tenant_id: UUID, wanted: str) -> str:
    """The expression, or that of the saved segment of this name. Raises `NotFound` when there is none."""
    name = saved_name(wanted)
    if name is None:
        return wanted
    found = segments.find(connection, tenant_id, name)
    if found is None:
        known = [one.name for one in segments.listing(connection, tenant_id)]
        raise NotFound(
            f"there is no segment {name!r:.60}{did_you_mean(name, known)}\n"
            'Next: notify segments list; an expression has more than one word, such as tags has "pilot"'
        )
    return found.expression


def asked(
    app: App, connection: Connection, tenant_id: UUID, expression: str, now: datetime, *, strict: bool = True
) -> Asked:
    """The expression as a question to the database. Raises `InvalidSegment`.

    `strict` refuses kinds and categories that there are not, and what the database cannot answer. What was asked once
    stays a question after they have gone.
    """
    bound = _Bound(app, rules(app, connection, tenant_id), expression, strict)
    question = Asked(each(parse(expression), bound), tenant_id, now)
    if strict:
        segments.require_answer(connection, question)
    return question


class _Bound:
    """Terms with what they need to know of kinds, categories and the tenant's defaults."""

    def __init__(self, app: App, said: Rules, expression: str, strict: bool) -> None:
        self._app = app
        self._rules = said
        self._expression = expression
        self._strict = strict

    def __call__(self, term: Term) -> Term:
        match term:
            case Engaged(kind=str(kind)):
                self._require(term, "kind", kind, self._app.kinds.names)
                return replace(term, kinds=(kind,))
            case Engaged(category=str(category)):
                self._require(term, "category", category, self._categories)
                return replace(term, kinds=tuple(self._kinds_of(category)))
            case Agreed(category):
                self._require(term, "category", category, self._categories)
            case Wants(category, channel):
                self._require(term, "category", category, self._categories)
                return replace(term, default=self._rules.defaults.choice(category, channel) is not False)
        return term

    def _require(self, term: Term, what: str, name: str, known: Callable[[], list[str]]) -> None:
        if self._strict:
            require_known(self._expression, term, what, name, known())

    def _categories(self) -> list[str]:
        return list(self._app.kinds.categories())

    def _kinds_of(self, category: str) -> list[str]:
        found = []
        for name in self._app.kinds.names():
            try:
                kind = self._app.kinds.get(name)
            except InvalidKind:
                continue  # of what cannot be used nothing is sent; `notify kinds check` tells of it
            if kind.facts.category == category:
                found.append(name)
        return found

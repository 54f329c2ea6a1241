"""An expression becomes a tree of conditions, or an error that shows where and says what to write instead.

By recursive descent, a token at a time and never back: the time for an expression is proportional to its length.

    either  = both { "or" both }
    both    = single { "and" single }
    single  = "not" single | "(" either ")" | term
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NoReturn, TypeVar

from notify.audience.segments import checks, literals
from notify.audience.segments.fields import FIELDS, REACHED, TERMS
from notify.audience.segments.tokens import Sort, Token, mistake, shown, tokens
from notify.errors import did_you_mean
from notify.model import Channel
from notify.model.segment import (
    Agreed,
    Compare,
    Condition,
    Engaged,
    Engagement,
    Every,
    Has,
    Not,
    Operator,
    Reachable,
    Some,
    Span,
    Value,
    Wants,
)

Part = TypeVar("Part")

DEEPEST = 50  # parentheses and `not` within each other
MOST_TERMS = 200
LONGEST_PATH = 8  # names of an attribute within an attribute
NEAR = 40  # characters of a word that are compared with the known ones
SIGNS = {one.value: one for one in Operator if not one.value[0].isalpha()}
AFTER = 'a comparison such as = "NL", in (…), contains, starts with, between, within, is set'


def parse(expression: str) -> Condition:
    """The conditions of an expression, each with its place in it. Raises `InvalidSegment`."""
    return _Reader(expression).whole()


class _Reader:
    """Where the reading of one expression stands."""

    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = tokens(expression)
        self._at = self._depth = self._terms = 0
        self._told: dict[str, Callable[[Token], Condition]] = {
            "tags": self._tags,
            "has": self._reached,
            "verified": self._reached,
            "consent": self._agreed,
            "wants": self._wants,
            **dict.fromkeys(Engagement, self._engaged),
        }

    def whole(self) -> Condition:
        """All of it."""
        first = self._next
        if first.sort is Sort.END:
            self._wrong(first, 'it is empty; ask for something, such as tags has "pilot"')
        found = self._either()
        if self._next.sort is not Sort.END:
            self._wrong(self._next, "nothing can follow here but and, or; put texts in quotes")
        return found

    def _either(self) -> Condition:
        return self._joined("or", self._both, Some)

    def _both(self) -> Condition:
        return self._joined("and", self._single, Every)

    def _joined(
        self, word: str, read: Callable[[], Condition], join: Callable[[tuple[Condition, ...], Span], Condition]
    ) -> Condition:
        parts = [read()]
        while self._taken(word):
            parts.append(read())
        return parts[0] if len(parts) == 1 else join(tuple(parts), Span(parts[0].span.start, parts[-1].span.end))

    def _single(self) -> Condition:
        first = self._next
        if first.word not in ("not", "("):
            return self._term()
        self._depth += 1
        if self._depth > DEEPEST:
            self._wrong(first, f"more than {DEEPEST} parentheses and not within each other; make it flatter")
        self._skip()
        if first.word == "not":
            part = self._single()
            found: Condition = Not(part, Span(first.span.start, part.span.end))
        else:
            found = self._either()
            self._need(")", f"the parenthesis of column {self._column(first)} is not closed; write )")
        self._depth -= 1
        return found

    def _term(self) -> Condition:
        first = self._next
        if first.sort is not Sort.WORD:
            what = (
                "here it ends; a condition is missing" if first.sort is Sort.END else "a condition begins with a name"
            )
            self._wrong(first, f"{what}, such as tags, attr.country or opened")
        self._terms += 1
        if self._terms > MOST_TERMS:
            self._wrong(first, f"more than {MOST_TERMS} conditions; use in (…), or give those recipients a tag")
        self._skip()
        return self._told.get(first.word, self._field)(first)

    # what begins with a word of its own

    def _tags(self, first: Token) -> Condition:
        if not self._taken("has"):
            self._wrong(self._next, 'after tags stands has, such as tags has "pilot" or tags has any ("a", "b")')
        return self._has(first, ())

    def _has(self, first: Token, path: tuple[str, ...]) -> Condition:
        every = self._next.word == "all"
        if self._next.word in ("all", "any"):
            self._skip()
        words = self._list(self._tag) if self._next.word == "(" else [self._tag()]
        return Has(path, tuple(words), every, self._since(first))

    def _tag(self) -> str:
        return self._text('a tag in quotes, such as "pilot"')

    def _reached(self, first: Token) -> Condition:
        named = self._next
        if named.word not in REACHED:
            self._wrong(named, f"after {first.word} stands {shown(tuple(REACHED))}{self._near(named, REACHED)}")
        self._skip()
        return Reachable(REACHED[named.word], first.word == "verified", self._since(first))

    def _agreed(self, first: Token) -> Condition:
        self._need("to", 'after consent stands to and a category, such as consent to "newsletter"')
        return Agreed(self._text("a category in quotes"), self._since(first))

    def _wants(self, first: Token) -> Condition:
        category = self._text("a category in quotes")
        self._need("by", f'after the category stands by and a channel, such as wants "{category[:NEAR]}" by email')
        named, known = self._next, [channel.value for channel in Channel]
        if named.word not in known:
            self._wrong(named, f"a channel is {shown(known)}{self._near(named, known)}")
        self._skip()
        return Wants(category, Channel(named.word), self._since(first))

    def _engaged(self, first: Token) -> Condition:
        kind = category = None
        if self._taken("kind"):
            kind = self._text("the name of a kind in quotes")
        elif self._taken("category"):
            category = self._text("a category in quotes")
        never = self._taken("never")
        within = literals.span(self._expression, self._take()) if not never and self._taken("within") else None
        span = self._since(first)
        found = Engaged(Engagement(first.word), kind, category, within, span)
        return Not(found, span) if never else found

    # a field, an operator, values

    def _field(self, first: Token) -> Condition:
        name, path = first.word, self._path()
        if name == "attr":
            if not path:
                self._wrong(self._next, "after attr stands a dot and a name, such as attr.country")
            if self._taken("has"):
                return self._has(first, path)
        elif path:
            name, path = f"{name}.{'.'.join(path).lower()}", ()
        place = Span(first.span.start, self._last.span.end)
        known = [*FIELDS, *TERMS]
        if name != "attr" and name not in FIELDS:
            head = name.partition(".")[0][:NEAR]
            near = did_you_mean(name[:NEAR], known) or did_you_mean(head, [*known, "attr"])
            near = near or f"; known are {', '.join(known)}"
            raise mistake(self._expression, place, f"there is no field {name[:NEAR]!r}{near}")
        operator, stands = self._operator()
        found = Compare(name, path, operator, self._values(operator), self._since(first))
        checks.require_sense(self._expression, found, place, stands)
        return found

    def _path(self) -> tuple[str, ...]:
        names = list[str]()
        while self._taken("."):
            named = self._next
            if named.sort not in (Sort.WORD, Sort.TEXT):
                self._wrong(named, 'after the dot stands a name; put it in quotes if it is unusual: attr."job title"')
            if len(names) == LONGEST_PATH:
                self._wrong(named, f"more than {LONGEST_PATH} names one within the other")
            names.append(named.text)
            self._skip()
        return tuple(names)

    def _operator(self) -> tuple[Operator, Token]:
        first = self._next
        word = first.word
        if word in SIGNS:
            self._skip()
            return SIGNS[word], first
        for second, operator in (("with", Operator.STARTS), ("set", Operator.IS_SET)):
            if word == operator.split()[0]:
                self._skip()
                self._need(second, f"after {word} stands {second}" + ("; equality is =" if word == "is" else ""))
                return operator, first
        if word in list(Operator):
            self._skip()
            return Operator(word), first
        if word == "not":
            self._wrong(first, 'write not before the field: not attr.country in ("NL")')
        near = self._near(first, Operator)
        self._wrong(first, f"here stands {AFTER}{near}" if near or first.sort is not Sort.END else f"missing: {AFTER}")

    def _values(self, operator: Operator) -> tuple[Value, ...]:
        match operator:
            case Operator.IS_SET:
                return ()
            case Operator.IN:
                return tuple(self._list(self._value))
            case Operator.WITHIN:
                return (literals.span(self._expression, self._take()),)
            case Operator.BETWEEN:
                low = self._value()
                self._need("and", "between has two values, such as between 18 and 65")
                return (low, self._value())
        return (self._value(),)

    def _list(self, read: Callable[[], Part]) -> list[Part]:
        begun = self._next
        self._need("(", 'a list stands in parentheses, such as ("NL", "BE")')
        found = [read()]
        while self._taken(","):
            found.append(read())
        self._need(")", f"the list of column {self._column(begun)} goes on with a comma or ends with )")
        return found

    def _value(self) -> Value:
        return literals.value(self._expression, self._take())

    def _text(self, what: str) -> str:
        if self._next.sort is not Sort.TEXT:
            self._wrong(self._next, f"here stands {what}")
        return literals.text(self._expression, self._take())

    # tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    @property
    def _last(self) -> Token:
        return self._tokens[max(0, self._at - 1)]

    def _skip(self) -> None:
        self._at = min(self._at + 1, len(self._tokens) - 1)

    def _take(self) -> Token:
        token = self._next
        self._skip()
        return token

    def _taken(self, word: str) -> bool:
        if self._next.word != word:
            return False
        self._skip()
        return True

    def _need(self, word: str, otherwise: str) -> None:
        if not self._taken(word):
            self._wrong(self._next, otherwise)

    def _since(self, first: Token) -> Span:
        return Span(first.span.start, self._last.span.end)

    def _column(self, token: Token) -> int:
        return token.span.start - self._expression.rfind("\n", 0, token.span.start)

    def _near(self, token: Token, known: Iterable[str]) -> str:
        return did_you_mean(token.word[:NEAR], known)

    def _wrong(self, token: Token, what: str) -> NoReturn:
        raise mistake(self._expression, token.span, what)

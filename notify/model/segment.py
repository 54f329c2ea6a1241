"""What a segment asks of a recipient: a tree of conditions, inert. Where one stands in its text is no part of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from notify.model.kind import Channel


class Operator(StrEnum):
    """How a field is compared with what stands behind it."""

    IS = "="
    IS_NOT = "!="
    BELOW = "<"
    AT_MOST = "<="
    ABOVE = ">"
    AT_LEAST = ">="
    IN = "in"
    BETWEEN = "between"
    CONTAINS = "contains"
    STARTS = "starts with"
    MATCHES = "matches"  # a locale, or one of its language
    WITHIN = "within"  # so long ago at most
    IS_SET = "is set"


class Engagement(StrEnum):
    """What a recipient has been sent, or did."""

    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    BOUNCED = "bounced"
    REPLIED = "replied"


Value = str | int | float | bool | date | timedelta


@dataclass(frozen=True, slots=True)
class Span:
    """From which character of the expression up to which one."""

    start: int
    end: int


_span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """A field, or the attribute that `path` leads to, compared with values of one type."""

    name: str
    path: tuple[str, ...]
    operator: Operator
    values: tuple[Value, ...]
    span: Span = _span


@dataclass(frozen=True, slots=True)
class Has:
    """The tags, or the list that `path` leads to, hold one of these words, or `every` one."""

    path: tuple[str, ...]
    words: tuple[str, ...]
    every: bool
    span: Span = _span


@dataclass(frozen=True, slots=True)
class Reachable:
    """There is an address on the channel, a `verified` one."""

    channel: Channel
    verified: bool
    span: Span = _span


@dataclass(frozen=True, slots=True)
class Engaged:
    """It happened, with a message of these `kinds` (None: of any), so long ago at most."""

    what: Engagement
    kind: str | None
    category: str | None
    within: timedelta | None
    span: Span = _span
    kinds: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Agreed:
    """They agreed to the category, and did not withdraw it."""

    category: str
    span: Span = _span


@dataclass(frozen=True, slots=True)
class Wants:
    """They want the category on the channel; who chose nothing does if that is the `default`."""

    category: str
    channel: Channel
    span: Span = _span
    default: bool = True


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition
    span: Span = _span


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold: `and`."""

    parts: tuple[Condition, ...]
    span: Span = _span


@dataclass(frozen=True, slots=True)
class Some:
    """At least one part holds: `or`."""

    parts: tuple[Condition, ...]
    span: Span = _span


Term = Compare | Has | Reachable | Engaged | Agreed | Wants
Condition = Term | Not | Every | Some

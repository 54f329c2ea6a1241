"""Whom a notification goes to when they are not named one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from notify.audience.segments.grammar import parse
from notify.audience.segments.names import saved_name
from notify.errors import InvalidRecipient
from notify.store.text import line


@dataclass(frozen=True, slots=True)
class Everyone:
    """Everyone of the tenant's roster, or with `tags`, those who have any of them. Make one with `everyone()`."""

    tags: tuple[str, ...] = ()


def everyone(*, tags: Iterable[str] | None = None) -> Everyone:
    """Everyone of the tenant's roster, for `send_many(kind, to=notify.everyone())`.

    With `tags`, those who have at least one of them: `notify.everyone(tags=["beta"])`. Whoever joins the roster while
    the planning goes on may or may not be among them. Raises `InvalidRecipient` for what is no tag; no tags at all are
    refused, too: a list that came out empty must not reach everyone.
    """
    if tags is None:
        return Everyone()
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise InvalidRecipient(f"tags is a list, such as ['beta'], not {tags!r:.60}")
    wanted = tuple(sorted({line("a tag", tag, InvalidRecipient) for tag in tags}))
    if not wanted:
        raise InvalidRecipient("tags is empty; leave it out to reach everyone of the roster")
    return Everyone(wanted)


@dataclass(frozen=True, slots=True)
class Segment:
    """Those of the tenant's roster who are in a segment. `wanted` is the name of a saved one, or an expression."""

    wanted: str


def segment(wanted: str) -> Segment:
    """Those in a segment, for `send_many(kind, to=notify.segment("pilots"))`, saved or as an expression.

    `notify.segment('tags has "pilot" and not opened within 30d')`. Raises `InvalidSegment` for an expression that
    cannot be read; a name is looked up when it is sent to.
    """
    if saved_name(wanted) is None:
        parse(wanted)
    return Segment(wanted)

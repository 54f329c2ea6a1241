"""Where a mail's tracked links lead is stored and committed before the mail can go out.

One statement stores what is new in many mails, and what this process knows to be stored costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from notify.app import App
from notify.channels.provider import Envelope
from notify.delivery.prepare import Prepared
from notify.store import tracked_links

MOST_AHEAD, FEW_AHEAD = 50, 8
"""Mails with new links that are stored together; few where openings are waited for, for they are missed meanwhile."""


def stored(app: App, prepared: Iterable[Prepared], *, few: bool) -> Iterator[Envelope]:
    """The envelopes of these, in their order, each once its links are stored. Raises `Unreachable`."""
    waiting: list[Prepared] = []
    most = FEW_AHEAD if few else MOST_AHEAD
    for one in prepared:
        if not waiting and all(map(app.link_book.has, one.targets)):
            yield one.envelope
            continue
        waiting.append(one)
        if len(waiting) == most:
            yield from _stored(app, waiting)
            waiting = []
    yield from _stored(app, waiting)


def _stored(app: App, waiting: list[Prepared]) -> Iterator[Envelope]:
    new = [target for one in waiting for target in one.targets if not app.link_book.has(target)]
    if new:
        with app.store.begin() as connection:
            stored = tracked_links.store(connection, new, app.clock.now())
        app.link_book.note(stored)
    yield from [one.envelope for one in waiting]

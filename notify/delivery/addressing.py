"""What was planned to an address goes there while it is the recipient's; else to the one they have now, or nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

from notify.app import App
from notify.errors import RequestError
from notify.model import Batch, fold
from notify.store import Connection, work
from notify.store.work import Work


def addressed(app: App, connection: Connection, batch: Batch, taken: Sequence[Work]) -> Sequence[Work]:
    """The same, each with an address that is the recipient's; with none among theirs where it is to go no further.

    That is also what was to prove that very address, and a mail that is sent as it was.
    """
    astray = [one for one in taken if one.address and not one.recipient.addresses and not one.recipient.erased]
    if not astray:
        return taken
    theirs = work.addresses_of(connection, batch.channel, [one.recipient.id for one in astray])
    found: dict[UUID, Work] = {}
    for one in astray:
        assert one.address is not None
        own = theirs.get(one.recipient.id, [])
        planned = next((each for each, _ in own if each.folded == fold(one.address)), None)
        primary = next((each for each, is_primary in own if is_primary), None)
        if planned is not None:
            kept = replace(planned, value=one.address)
            found[one.id] = one._replace(recipient=replace(one.recipient, addresses={batch.channel: kept}))
        elif primary is not None and not _bound(app, one):
            person = replace(one.recipient, addresses={batch.channel: primary})
            found[one.id] = one._replace(address=primary.value, recipient=person)
            work.readdress(connection, one.id, primary.value)
    return [found.get(one.id, one) for one in taken]


def _bound(app: App, one: Work) -> bool:
    """Whether it makes no sense at any other address."""
    with suppress(RequestError):  # a kind that cannot be used ends its messages one by one
        return one.occasion.as_was or app.kinds.get(one.occasion.kind).facts.onboarding
    return True

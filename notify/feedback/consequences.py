"""What follows from events for an address, each with its cause; the person's own word is never weakened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from notify.app import App
from notify.audience import leaving
from notify.feedback import soft
from notify.model import Consequence, Effect, Suppression
from notify.model.recipient import COMPLAINED
from notify.policy import aftermath
from notify.policy.aftermath import Step
from notify.store import Connection, preferences, suppressions
from notify.store import consequences as rows
from notify.store.events import Told
from notify.store.owners import Owner
from notify.telemetry import emit

LONGEST_NOTE = 500
ORDER = (Step.SUPPRESS_DEAD, Step.COUNT, Step.SUPPRESS_COMPLAINED, Step.LEAVE)
"""That of the reasons of what they add: `bounced`, `complained`, `unsubscribed`."""


def follow(app: App, connection: Connection, told: Sequence[Told], now: datetime) -> Counter[Effect]:
    """Do what follows from these events, and note it; counts the effects. Nothing follows for who was erased.

    It concerns the address that the message went to, whoever answers for it: what is forwarded from there to a dead
    end arrives no more.
    """
    noted: list[tuple[Owner, Consequence]] = []
    steps = sorted(_steps(told), key=_in_one_order)
    for recipient_id in sorted({owner.recipient_id for _, owner, step in steps if step is Step.LEAVE}):
        preferences.by_id(connection, recipient_id, lock=True)  # first, as whoever uses the link of a mail does
    for one, owner, step in steps:
        done = DO[step](app, connection, one, owner, now)
        if done is not None:
            noted.append((owner, done))
    rows.insert(connection, noted)
    return Counter(done.effect for _, done in noted)


def announce(done: Mapping[Effect, int]) -> None:
    """Tell what was done, once it is stored."""
    if done:
        emit("feedback.followed", **{effect.value: count for effect, count in done.items()})


def _steps(told: Sequence[Told]) -> list[tuple[Told, Owner, Step]]:
    return [
        (one, one.owner, step)
        for one in told
        if one.owner is not None
        and one.owner.address is not None
        and (step := aftermath.follows(one.event.type, one.event.bounce)) is not None
    ]


def _in_one_order(item: tuple[Told, Owner, Step]) -> tuple[str, str, str, int, datetime, str]:
    """By address and reason, as suppressions are added: two callers must not wait for each other in a circle."""
    one, owner, step = item
    place = str(owner.tenant_id), owner.channel, str(owner.address), ORDER.index(step)
    return *place, one.event.at, one.event.provider_event_id


def _dead(app: App, connection: Connection, one: Told, owner: Owner, now: datetime) -> Consequence:
    """The address is dead."""
    return _suppress(connection, one, owner, "bounced", now)


def _complained(app: App, connection: Connection, one: Told, owner: Owner, now: datetime) -> Consequence:
    """The person does not want it; what is required still comes (`Suppression.covers`)."""
    return _suppress(connection, one, owner, COMPLAINED, now)


def _suppress(connection: Connection, one: Told, owner: Owner, reason: str, now: datetime) -> Consequence:
    assert owner.address is not None
    event = one.event
    note = " ".join(part for part in (event.status, event.diagnostic) if part)[:LONGEST_NOTE] or None
    row = Suppression(owner.channel, owner.address, reason, event.provider, note=note)
    changed = suppressions.add(connection, owner.tenant_id, [row], now)
    return Consequence(one.id, Effect.SUPPRESSED if changed else Effect.STOOD, now, "all", detail=reason)


def _leave(app: App, connection: Connection, one: Told, owner: Owner, now: datetime) -> Consequence | None:
    """As the page does: the category of the mail. What is required cannot be left; a later yes of theirs stands."""
    words, at = f"told by {one.event.provider}", one.event.at
    parting, left = leaving.category_of(
        app, connection, owner.id, owner.recipient_id, way="provider", words=words, said_at=at
    )
    if parting is None or parting.required:
        return None
    scope = parting.scope("category")
    return Consequence(one.id, Effect.UNSUBSCRIBED if left else Effect.STOOD, now, scope, detail="unsubscribed")


DO: Mapping[Step, Callable[[App, Connection, Told, Owner, datetime], Consequence | None]] = {
    Step.SUPPRESS_DEAD: _dead,
    Step.SUPPRESS_COMPLAINED: _complained,
    Step.COUNT: soft.count,
    Step.LEAVE: _leave,
}

"""Leaving by a link: one mail's kind, its category or everything; taken back exactly, and said twice it counts once.

Whoever holds the link is the person: no login, no cookie. What follows is stored in one transaction, which holds the
recipient's row: an erasure or another address comes before it or after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from notify.app import App
from notify.audience import consent, links
from notify.audience.returning import came_back
from notify.errors import RequestError
from notify.kinds import Category
from notify.model import Author, ConsentAction, Kind, Source, fold
from notify.store import Connection, audit, consents, leaving, preferences, recipient_history, tenants
from notify.store.leaving import Said, Whose
from notify.store.preferences import Holder
from notify.telemetry import emit

EVERYTHING = "all"
LONGEST_NOTE = 500  # characters
SOURCE, UNDONE = "unsubscribe link", "undo of an unsubscribe"
"""Sources of entries in the log of consent."""
REASONS = ("too_many", "not_relevant", "never_asked", "other")

Breadth = Literal["category", "kind", "all"]
Way = Literal["one-click", "page", "provider"]


@dataclass(frozen=True, slots=True)
class Parting:
    """A link that was opened. `kind` is what the mail was of, if still known; `left` the scopes that were left."""

    link: Whose
    kind: Kind | None
    category: Category | None
    left: tuple[str, ...]

    @property
    def required(self) -> bool:
        """Whether it was a mail that nobody can leave."""
        return self.kind is not None and (self.kind.required or bool(self.category and self.category.required))

    def scope(self, breadth: Breadth) -> str:
        """The scope of a suppression of this breadth; everything, where the kind is not known any more."""
        if self.kind is None or breadth == "all":
            return EVERYTHING
        return self.kind.category if breadth == "category" else f"kind:{self.kind.name}"

    def consents(self, breadth: Breadth) -> bool:
        """Whether somebody may have agreed to what is left by this breadth."""
        if self.category is None or breadth == "all":
            return True
        return breadth == "category" and self.category.consent

    def breadth(self, scope: str) -> Breadth:
        """The breadth of a scope that was left."""
        return "all" if scope == EVERYTHING else "kind" if scope.startswith("kind:") else "category"


def of_message(app: App, message_id: UUID, recipient_id: UUID) -> Parting | None:
    """What this mail's link opens; None when its recipient is not there any more."""
    with app.store.read() as connection:
        link = leaving.whose(connection, message_id, recipient_id)
        return None if link is None else _parting(app, connection, link)


def of_address(app: App, address: str) -> Parting:
    """What a link of the predecessor opens, which names an address alone: it can be left whether anybody has it."""
    folded = fold(address)
    link = Whose(tenants.DEFAULT_ID, event_of(app, folded), (folded,))
    with app.store.read() as connection:
        return _parting(app, connection, leaving.with_said(connection, link))


def event_of(app: App, folded: str) -> str:
    """What the event is called that keeps what was said by such a link."""
    return f"unsubscribed:{links.legacy_name(app, folded)}"


def at_once(app: App, message_id: UUID, recipient_id: UUID) -> Parting | None:
    """One click: leave the category of this mail, unless it is required, in the transaction that opens the link."""
    with app.store.begin() as connection:
        parting, changed = category_of(app, connection, message_id, recipient_id, way="one-click")
    if changed and parting:
        _announce(parting, "category", "one-click")
    return parting


def category_of(
    app: App,
    connection: Connection,
    message_id: UUID,
    recipient_id: UUID,
    *,
    way: Way,
    words: str | None = None,
    said_at: datetime | None = None,
) -> tuple[Parting | None, bool]:
    """Leave the category of this mail in the caller's transaction; whether that changed anything.

    What is required cannot be left, nor what they said yes to after `said_at`. None when its recipient is not there any
    more.
    """
    held = _held(connection, message_id, recipient_id)
    if held is None:
        return None, False
    parting = _parting(app, connection, held.link)
    if said_at and came_back(connection, recipient_id, held.link.channel, parting.scope("category"), said_at):
        return parting, False
    return parting, not parting.required and _leave(app, connection, held, parting, "category", way=way, words=words)


def leave(
    app: App, parting: Parting, breadth: Breadth, way: Way, *, reason: str | None = None, note: str | None = None
) -> Parting | None:
    """Send nothing of this breadth any more, and withdraw the consent to it; returns the link as it is then.

    Said again, it changes nothing. None, and nothing is stored, when the recipient is not there any more.
    """
    words = ": ".join(part for part in (reason, note and _plain(note)) if part) or None
    with app.store.begin() as connection:
        held = _held_again(connection, parting.link)
        if held is None:
            return None
        known = replace(parting, link=held.link)
        changed = _leave(app, connection, held, known, breadth, way=way, words=words)
    if changed:
        _announce(known, breadth, way)
    return replace(known, left=tuple({*parting.left, parting.scope(breadth)}))


def _leave(
    app: App, connection: Connection, held: _Held, parting: Parting, breadth: Breadth, *, way: Way, words: str | None
) -> bool:
    """Store what leaving stores; False when this link said so already, and it stands."""
    link, scope, now = held.link, parting.scope(breadth), app.clock.now()
    changed = leaving.suppress(connection, link, scope, source=way, note=words, now=now)
    if not changed and scope in leaving.standing(connection, link):
        return False
    by = _author(link, words or f"unsubscribed by {way}")
    said_at = leaving.moment(connection, link, scope, now)
    remembered: dict[str, Any] = {"at": said_at.isoformat(), "source": way}
    if parting.consents(breadth):
        withdrawn = _withdraw(app, connection, held, parting, breadth, by=by)
        remembered["withdrawn"] = {**link.said.get(scope, {}).get("withdrawn", {}), **withdrawn}
    leaving.remember(connection, link, {scope: remembered}, now)
    _note(connection, link, "recipient.unsubscribe", {scope: (None, leaving.REASON)}, by=by, now=now)
    return True


def _announce(parting: Parting, breadth: Breadth, way: Way) -> None:
    emit(
        "recipient.unsubscribed",
        recipient=str(parting.link.recipient_id),
        scope=parting.scope(breadth),
        source=way,
    )


def undo(app: App, parting: Parting) -> Parting | None:
    """Take back all that was left by this link, and nothing else: what was said another way, too, stays in `left`.

    None, and nothing is stored, when the recipient is not there any more.
    """
    with app.store.begin() as connection:
        held = _held_again(connection, parting.link)
        if held is None:
            return None
        link, said = held.link, leaving.said(connection, held.link)
        if said.scopes:
            by = _author(link, "took it back on the page")
            others = leaving.others(connection, link)
            freed = leaving.take_back(connection, link, said, others)
            _regrant(app, connection, held, said, others, by=by)
            leaving.forget(connection, said)
            changes = dict.fromkeys(sorted(freed), (leaving.REASON, None))
            _note(connection, link, "recipient.unsubscribe_undone", changes, by=by, now=app.clock.now())
        left = leaving.standing(connection, link)
    if said.scopes:
        emit("recipient.unsubscribe_undone", recipient=str(link.recipient_id), scopes=list(said.scopes), source="page")
    return replace(parting, link=link, left=tuple(left))


@dataclass(frozen=True, slots=True)
class _Held:
    """A link, and its recipient, whom nobody else changes until the transaction ends; None: nobody has the address."""

    link: Whose
    holder: Holder | None


def _held(connection: Connection, message_id: UUID, recipient_id: UUID) -> _Held | None:
    """What a mail's link leads to; None when its recipient is not there any more."""
    holder = preferences.by_id(connection, recipient_id, lock=True)
    link = leaving.whose(connection, message_id, recipient_id) if holder else None
    return _Held(link, holder) if link else None


def _held_again(connection: Connection, link: Whose) -> _Held | None:
    """What a link leads to now: since it was opened, its recipient may have another address, or be gone."""
    if link.named is not None and link.recipient_id is not None:
        return _held(connection, link.named, link.recipient_id)
    bare = replace(link, recipient_id=None, addresses=link.addresses[:1])
    found = leaving.with_holder(connection, bare).recipient_id
    holder = preferences.by_id(connection, found, lock=True) if found else None
    again = leaving.with_said(connection, leaving.with_holder(connection, bare))
    return _Held(again, holder if holder and holder.id == again.recipient_id else None)


def _parting(app: App, connection: Connection, link: Whose) -> Parting:
    left = leaving.standing(connection, link)
    kind = _kind(app, link.kind)
    return Parting(link, kind, _category(app, kind) if kind else None, tuple(left))


def _plain(note: str) -> str:
    """One line that a terminal can show and a database can hold."""
    return " ".join("".join(char if char.isprintable() else " " for char in note).split())[:LONGEST_NOTE]


def _kind(app: App, name: str | None) -> Kind | None:
    try:
        return None if name is None else app.kinds.get(name).facts
    except RequestError:
        return None  # removed or broken since: leaving must work all the same


def _category(app: App, kind: Kind) -> Category:
    try:
        return app.kinds.category(kind.category)
    except RequestError:
        return Category(kind.category, kind.category)


def _withdraw(
    app: App, connection: Connection, held: _Held, parting: Parting, breadth: Breadth, *, by: Author
) -> dict[str, str]:
    """Withdraw what was agreed to; returns for each entry that withdraws the one that had granted, for an undo."""
    if held.holder is None:
        return {}
    category = None if breadth == "all" or parting.kind is None else parting.kind.category
    before = consents.standing(connection, held.holder.id)
    gone = consent.withdrawn(app, connection, held.holder, category, source=SOURCE, by=by)
    former = [(entry, before[entry.category]) for entry in gone]
    return {str(entry.id): str(one.id) for entry, one in former if one.action is ConsentAction.GRANTED}


def _regrant(app: App, connection: Connection, held: _Held, said: Said, others: Sequence[Said], *, by: Author) -> None:
    """Grant again what this link withdrew, where that is the last word; where another link says no, its undo does."""
    withdrawn = {k: v for remembered in said.scopes.values() for k, v in remembered.get("withdrawn", {}).items()}
    if held.holder is None or not withdrawn:
        return
    for last in consents.standing(connection, held.holder.id).values():
        if (former := withdrawn.get(str(last.id))) is None:
            continue
        no = next((other for other in others if {last.category, EVERYTHING} & set(other.scopes)), None)
        if no is None:
            consent.regranted(app, connection, held.holder, UUID(former), source=UNDONE, by=by)
        else:
            leaving.inherit(connection, no, {str(last.id): former})


def _author(link: Whose, reason: str) -> Author:
    return Author(f"recipient:{link.recipient_id or link.event}", Source.PAGE, reason)


def _note(
    connection: Connection,
    link: Whose,
    action: str,
    scopes: Mapping[str, tuple[str | None, str | None]],
    *,
    by: Author,
    now: datetime,
) -> None:
    """The rows of history and audit: before and after by scope."""
    if link.recipient_id is not None:
        changes = {f"suppressed.{link.channel}.{scope}": pair for scope, pair in scopes.items()}
        recipient_history.write(connection, link.tenant_id, [(link.recipient_id, changes)], now, by)
    audit.write(
        connection,
        link.tenant_id,
        actor=by.actor,
        action=action,
        subject=str(link.recipient_id or link.event),
        detail={"scopes": list(scopes), "message": link.message_id and str(link.message_id)},
        at=now,
    )

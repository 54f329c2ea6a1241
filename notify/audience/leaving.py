"""Leaving by a link: one mail's kind, its category or everything; taken back exactly, and said twice it counts once.

Whoever holds the link is the person: no login, no cookie. What follows is stored in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from notify.app import App
from notify.audience import consent, links
from notify.errors import RequestError
from notify.kinds import Category
from notify.model import Author, ConsentAction, Kind, Source
from notify.store import Connection, audit, consents, leaving, preferences, recipient_history, tenants
from notify.store.leaving import Whose
from notify.store.preferences import Holder
from notify.telemetry import emit

EVERYTHING = "all"
LONGEST_NOTE = 500  # characters
SOURCE, UNDONE = "unsubscribe link", "undo of an unsubscribe"
"""Sources of entries in the log of consent."""
REASONS = ("too_many", "not_relevant", "never_asked", "other")

Breadth = Literal["category", "kind", "all"]
Way = Literal["one-click", "page"]


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
    folded = address.casefold()
    link = Whose(tenants.DEFAULT_ID, event_of(app, folded), (folded,))
    with app.store.read() as connection:
        return _parting(app, connection, leaving.with_said(connection, link))


def event_of(app: App, folded: str) -> str:
    """What the event is called that keeps what was said by such a link."""
    return f"unsubscribed:{links.legacy_name(app, folded)}"


def at_once(app: App, message_id: UUID, recipient_id: UUID) -> Parting | None:
    """One click: leave the category of this mail, unless it is required, in the transaction that opens the link."""
    with app.store.begin() as connection:
        link = leaving.whose(connection, message_id, recipient_id)
        if link is None:
            return None
        parting = _parting(app, connection, link)
        changed = not parting.required and _leave(app, connection, parting, "category", "one-click", words=None)
    if changed:
        _announce(parting, "category", "one-click")
    return parting


def leave(
    app: App, parting: Parting, breadth: Breadth, way: Way, *, reason: str | None = None, note: str | None = None
) -> Parting:
    """Send nothing of this breadth any more, and withdraw the consent to it; returns the link as it is then.

    Said again, it changes nothing.
    """
    words = ": ".join(part for part in (reason, note and _plain(note)) if part) or None
    with app.store.begin() as connection:
        known = replace(parting, link=_somebody(connection, parting.link))
        changed = _leave(app, connection, known, breadth, way, words=words)
    if changed:
        _announce(known, breadth, way)
    return replace(parting, left=tuple({*parting.left, parting.scope(breadth)}))


def _leave(
    app: App, connection: Connection, parting: Parting, breadth: Breadth, way: Way, *, words: str | None
) -> bool:
    """Store what leaving stores; False when nothing was to be changed."""
    link, scope, now = parting.link, parting.scope(breadth), app.clock.now()
    remembered = leaving.suppress(connection, link, scope, source=way, note=words, now=now)
    if remembered is None:
        return False
    by = _author(link, words or f"unsubscribed by {way}")
    if parting.consents(breadth):
        remembered["withdrawn"] = _withdraw(app, connection, link, parting, breadth, by=by)
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


def undo(app: App, parting: Parting) -> Parting:
    """Take back all that was left by this link, and nothing else."""
    now = app.clock.now()
    with app.store.begin() as connection:
        link = _somebody(connection, parting.link)
        said = leaving.said(connection, link)
        if said.scopes:
            by = _author(link, "took it back on the page")
            for scope, remembered in said.scopes.items():
                leaving.restore(connection, link, scope, remembered)
                _regrant(app, connection, link, remembered.get("withdrawn", ()), by=by)
            leaving.forget(connection, said)
            changes = dict.fromkeys(said.scopes, (leaving.REASON, None))
            _note(connection, link, "recipient.unsubscribe_undone", changes, by=by, now=now)
    if said.scopes:
        emit("recipient.unsubscribe_undone", recipient=str(link.recipient_id), scopes=list(said.scopes), source="page")
    return replace(parting, left=())


def _parting(app: App, connection: Connection, link: Whose) -> Parting:
    left = leaving.standing(connection, link, link.said)
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


def _somebody(connection: Connection, link: Whose) -> Whose:
    """The link, with whoever has its address."""
    if link.recipient_id is not None:
        return link
    return replace(link, recipient_id=leaving.holder(connection, link.tenant_id, link.addresses[0]))


def _withdraw(
    app: App, connection: Connection, link: Whose, parting: Parting, breadth: Breadth, *, by: Author
) -> list[str]:
    """Withdraw what was agreed to; returns the entries by which it had been, for an undo."""
    holder = _holder(connection, link)
    if holder is None:
        return []
    category = None if breadth == "all" or parting.kind is None else parting.kind.category
    before = consents.standing(connection, holder.id)
    gone = consent.withdrawn(app, connection, holder, category, source=SOURCE, by=by)
    former = [before[entry.category] for entry in gone]
    return [str(entry.id) for entry in former if entry.action is ConsentAction.GRANTED]


def _regrant(app: App, connection: Connection, link: Whose, former: Sequence[str], *, by: Author) -> None:
    holder = _holder(connection, link) if former else None
    if holder is not None:
        standing = consents.standing(connection, holder.id)
        for entry in former:
            found = consents.find(connection, UUID(entry))
            if found and standing[found.entry.category].action is ConsentAction.WITHDRAWN:
                consent.regranted(app, connection, holder, UUID(entry), source=UNDONE, by=by)


def _holder(connection: Connection, link: Whose) -> Holder | None:
    return None if link.recipient_id is None else preferences.by_id(connection, link.recipient_id, lock=True)


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

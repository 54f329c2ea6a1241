"""Double opt-in: a consent that was asked for is granted by whoever follows the link, in the words that were asked.

It happens once however often the link is followed, and not at all when it was withdrawn meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from notify.app import App
from notify.audience import consent, verification
from notify.audience import preferences as choices
from notify.audience.consent import Proof
from notify.model import Author, Consent, ConsentAction, Sealed, Source
from notify.store import Connection, consents, preferences, recipient_history, suppressions
from notify.store.preferences import Holder

CONFIRMATION = "confirmation link"
"""The source of what was granted by a link."""


@dataclass(frozen=True, slots=True)
class Pending:
    """What the page of a confirmation shows. `granted` says that it was confirmed already."""

    category: str
    wording: str
    locale: str | None
    granted: bool


def asked(
    app: App,
    connection: Connection,
    holder: Holder,
    category: str,
    *,
    wording: str,
    source: str,
    by: Author,
    address: UUID,
) -> Consent:
    """Note that a confirmation was asked for, at the address of this row. In the caller's transaction."""
    proof = {"address": str(address)}
    consent.require_category(app, category)
    return consent.append(
        app, connection, holder, category, ConsentAction.ASKED, wording=wording, source=source, by=by, proof=proof
    )


def pending(app: App, asked_id: UUID) -> Pending | None:
    """What a link asks to confirm; None when it can confirm nothing any more."""
    with app.store.read() as connection:
        found = _asked(connection, asked_id)
        if found is None:
            return None
        holder = preferences.by_id(connection, found.entry.recipient_id)
        last = consents.standing(connection, found.entry.recipient_id)[found.entry.category]
    if holder is None or holder.erased or last.action is ConsentAction.WITHDRAWN:
        return None
    granted = last.action is ConsentAction.GRANTED
    return Pending(found.entry.category, found.entry.wording, holder.locale, granted)


def confirm(app: App, asked_id: UUID, proof: Proof) -> Consent | None:
    """The recipient followed the link and said yes. None when that was withdrawn since, or the person is gone.

    A second time changes nothing. Whoever says yes takes back an earlier no to this category or one of its kinds, be it
    a choice or an unsubscribe; what was suppressed for another reason, or for all, stays so. Where the link went to the
    address that the recipient still has, it is verified.
    """
    now = app.clock.now()
    with app.store.begin() as connection:
        found = _asked(connection, asked_id)
        if found is None:
            return None
        holder = preferences.by_id(connection, found.entry.recipient_id, lock=True)
        if holder is None or holder.erased:
            return None
        category = found.entry.category
        last = consents.standing(connection, holder.id)[category]
        if last.action is not ConsentAction.ASKED:
            return last if last.action is ConsentAction.GRANTED else None
        by = Author(f"recipient:{holder.id}", Source.PAGE, "confirmed by link")
        made = consent.append(
            app,
            connection,
            holder,
            category,
            ConsentAction.GRANTED,
            wording=found.entry.wording,
            source=CONFIRMATION,
            by=by,
            proof={**proof, "asked": str(asked_id)},
        )
        _take_back(app, connection, holder, category, by=by, now=now)
        address = (found.entry.proof or {}).get("address")
        if address is not None:
            verification.mark(connection, holder, UUID(address), by=by, now=now)
    consent.tell(made)
    return made


def _asked(connection: Connection, asked_id: UUID) -> Sealed | None:
    """The entry that asked."""
    found = consents.find(connection, asked_id)
    return found if found is not None and found.entry.action is ConsentAction.ASKED else None


def _take_back(app: App, connection: Connection, holder: Holder, category: str, *, by: Author, now: datetime) -> None:
    """An earlier no to exactly this category or a kind of it, by the person who says yes now."""
    chosen = choices.without(holder.preferences, category)
    changes = choices.differences(holder.preferences, chosen)
    if changes:
        preferences.write(connection, holder, chosen, now)
    scopes = app.kinds.category(category).scopes
    lifted = suppressions.lift(connection, holder.tenant_id, holder.id, scopes=scopes, reason="unsubscribed")
    changes |= {f"suppressed.{channel}.{scope}": ("unsubscribed", None) for channel, scope in lifted}
    recipient_history.write(connection, holder.tenant_id, [(holder.id, changes)], now, by)

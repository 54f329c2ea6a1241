"""What recipients agreed to, when, and what shows it: every entry seals the one before it, and none is ever changed.

A confirmation by link makes an entry that was `asked` one that is `granted`: see `confirming`.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from uuid_utils.compat import uuid7

from notify.app import App
from notify.audience.person import Who, person
from notify.errors import InvalidChoice, did_you_mean
from notify.model import Author, Consent, ConsentAction, Sealed
from notify.model.consent import GENESIS
from notify.model.text import storable
from notify.store import Connection, audit, consents, recipient_history, tenants
from notify.store.preferences import Holder
from notify.store.text import line
from notify.telemetry import emit

LONGEST_WORDING = 10_000  # characters
LONGEST_PROOF = 1_000  # characters of each of its values
Proof = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Chain:
    """What a check of a tenant's log found. `faults` name entries by their number.

    `head` is the digest of the last entry: whoever notes it down can tell later that the end was not cut off.
    """

    entries: int
    head: str
    faults: tuple[tuple[int, str], ...]


def grant(
    app: App,
    who: Who,
    category: str,
    *,
    wording: str,
    source: str,
    by: Author,
    proof: Proof | None = None,
    tenant: str | None = None,
) -> Consent:
    """Note that a recipient agreed to a category, in these words, as can be shown by `proof` (texts by name).

    Raises `InvalidChoice`, `NotFound`.
    """
    require_category(app, category)
    with app.store.begin() as connection:
        holder = person(connection, who, tenant, lock=True)
        made = append(
            app, connection, holder, category, ConsentAction.GRANTED, wording=wording, source=source, by=by, proof=proof
        )
    tell(made)
    return made


def withdraw(
    app: App,
    who: Who,
    category: str,
    *,
    source: str,
    by: Author,
    proof: Proof | None = None,
    tenant: str | None = None,
) -> Consent | None:
    """Note that a recipient agrees no more; None, and no entry, when there was nothing to withdraw."""
    require_category(app, category)
    with app.store.begin() as connection:
        holder = person(connection, who, tenant, lock=True)
        made = withdrawn(app, connection, holder, category, source=source, by=by, proof=proof)
    for entry in made:
        tell(entry)
    return made[0] if made else None


def withdrawn(
    app: App,
    connection: Connection,
    holder: Holder,
    category: str | None,
    *,
    source: str,
    by: Author,
    proof: Proof | None = None,
) -> list[Consent]:
    """Withdraw a category, or (None) every one, of a locked recipient, in the caller's transaction.

    What was only asked for is withdrawn, too: its link confirms nothing any more.
    """
    return [
        append(app, connection, holder, name, ConsentAction.WITHDRAWN, wording="", source=source, by=by, proof=proof)
        for name, entry in consents.standing(connection, holder.id).items()
        if category in (None, name) and entry.action is not ConsentAction.WITHDRAWN
    ]


def regranted(app: App, connection: Connection, holder: Holder, former: UUID, *, source: str, by: Author) -> None:
    """Grant once more, in the same words, what a locked recipient had agreed to by the entry `former` and withdrew."""
    found = consents.find(connection, former)
    if found is None:
        return
    append(
        app,
        connection,
        holder,
        found.entry.category,
        ConsentAction.GRANTED,
        wording=found.entry.wording,
        source=source,
        by=by,
        proof={"former": str(former)},
    )


def state(app: App, who: Who, *, tenant: str | None = None) -> dict[str, Consent]:
    """By category, what holds for a recipient: the entry that granted or withdrew it, else the one that asked."""
    with app.store.read() as connection:
        return consents.standing(connection, person(connection, who, tenant).id)


def log(
    app: App, who: Who | None = None, *, after: int = 0, limit: int = 100, tenant: str | None = None
) -> list[Sealed]:
    """The entries of a recipient, or of the whole tenant, after the one of this number, oldest first."""
    with app.store.read() as connection:
        if who is not None:
            mine = consents.log(connection, recipient_id=person(connection, who, tenant).id, after=after, limit=limit)
        else:
            tenant_id = tenants.tenant_id(connection, tenant)
            mine = consents.log(connection, tenant_id=tenant_id, after=after, limit=limit)
        return list(mine)


def verify_chain(app: App, *, tenant: str | None = None) -> Chain:
    """Go through the whole log of a tenant, in bounded memory, and say what was changed, if anything was."""
    number, previous, faults = 0, GENESIS, list[tuple[int, str]]()
    with app.store.read() as connection:
        for sealed in consents.log(connection, tenant_id=tenants.tenant_id(connection, tenant)):
            if fault := sealed.fault(number + 1, previous):
                faults.append((sealed.number, fault))
            number, previous = sealed.number, sealed.digest
    return Chain(number, previous, tuple(faults))


def append(
    app: App,
    connection: Connection,
    holder: Holder,
    category: str,
    action: ConsentAction,
    *,
    wording: str,
    source: str,
    by: Author,
    proof: Proof | None,
) -> Consent:
    """Add an entry for a locked recipient, and say so in their history and the audit. In the caller's transaction."""
    now, before = app.clock.now(), consents.standing(connection, holder.id).get(category)
    entry = Consent(
        uuid7(),
        holder.id,
        category,
        action,
        line("the source of a consent", source, InvalidChoice),
        now,
        "" if action is ConsentAction.WITHDRAWN else _wording(wording),
        _proof(proof),
    )
    sealed = consents.append(connection, holder.tenant_id, entry)
    changes = {f"consent.{category}": (before.action.value if before else None, action.value)}
    recipient_history.write(connection, holder.tenant_id, [(holder.id, changes)], now, by)
    audit.write(
        connection,
        holder.tenant_id,
        actor=by.actor,
        action=f"consent.{action}",
        subject=str(holder.id),
        detail={"category": category, "number": sealed.number},
        at=now,
    )
    return entry


def tell(entry: Consent) -> None:
    """Announce an entry that is committed."""
    emit("consent.changed", recipient=entry.recipient_id, category=entry.category, action=entry.action)


def require_category(app: App, category: str) -> None:
    """Raise `InvalidChoice` for a category that no kind belongs to."""
    known = app.kinds.categories()
    if category not in known:
        near = did_you_mean(category, known) or f"; there are {', '.join(known)}"
        raise InvalidChoice(f"no kind belongs to the category {category!r:.60}{near}")


def _wording(text: str) -> str:
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_WORDING:
        raise InvalidChoice(
            f"the wording of a consent is what the recipient read and agreed to: a text of 1 to {LONGEST_WORDING:,} "
            f"characters, not {text!r:.40}"
        )
    return storable(text)


def _proof(given: Proof | None) -> dict[str, str] | None:
    """Texts alone, for JSON has more than one form of a number; and a random one, so that a digest tells nothing."""
    if given is None:
        return None
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise InvalidChoice(f"a proof holds texts by name, unlike {name!r:.40}: {value!r:.40}")
    shown = {storable(name): storable(value[:LONGEST_PROOF]) for name, value in given.items()}
    return {**shown, "nonce": secrets.token_hex(16)}

"""Addresses are suppressed and freed again by name: every change is audited, and a person's own word is not undone.

All functions take the App first; `notify.suppressions` offers them on this process's App.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from notify.app import App
from notify.channels.email.address import parse
from notify.channels.sms import number
from notify.errors import InvalidAddress, InvalidSuppression, NotFound, did_you_mean
from notify.model import Address, Channel, Suppression
from notify.model.recipient import OWN_WORD, REASONS
from notify.settings import Environment
from notify.store import Connection, audit, consequences, suppressions, tenants, tombstones
from notify.store.consequences import Caused
from notify.store.suppressions import Kept
from notify.store.text import line
from notify.telemetry import emit

LONGEST_NOTE = 1000
EVERYTHING = "all"
KIND_SCOPE = "kind:"  # what stands before a kind's name as a scope


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an address: its suppressions, expired ones and tombstones too, who has it, and what came back.

    `consequences` are what followed from events, the latest first, each with its cause.
    """

    channel: Channel
    address: str
    suppressions: tuple[Kept, ...]
    recipients: tuple[str, ...]
    consequences: tuple[Caused, ...] = ()


def add(
    app: App,
    address: str,
    *,
    actor: str,
    channel: str = Channel.EMAIL,
    reason: str = "manual",
    scope: str = EVERYTHING,
    expires: timedelta | datetime | None = None,
    note: str | None = None,
    source: str = "operator",
    tenant: str | None = None,
) -> bool:
    """Suppress an address; False when it stands already, as strong and as long.

    `reason` is one of REASONS, `scope` is `all`, a category or `kind:NAME`, `expires` a span from now or an aware
    datetime. Raises `InvalidAddress` and `InvalidSuppression`.
    """
    now = app.clock.now()
    where = named_channel(channel)
    row = Suppression(
        where,
        folded(app, where, address),
        known_reason(reason),
        line("a suppression's source", source, InvalidSuppression),
        known_scope(app, scope),
        _until(expires, now),
        _note(note),
    )
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        changed = suppressions.add(connection, tenant_id, [row], now)
        detail = {**as_json(row), "changed": bool(changed)}
        _audit(connection, tenant_id, row, now, actor=actor, action="suppressions.add", detail=detail)
    emit("suppression.added", channel=where, scope=row.scope, reason=row.reason, changed=bool(changed))
    return bool(changed)


def remove(
    app: App,
    address: str,
    *,
    actor: str,
    reason: str,
    channel: str = Channel.EMAIL,
    scope: str | None = None,
    force: bool = False,
    tenant: str | None = None,
) -> list[Kept]:
    """Let an address be used again; returns what stood, tombstones too. `scope` None means every scope.

    The audit keeps each row as it was. Raises `NotFound` when nothing stands, and `InvalidSuppression` when the person
    said no and `force` does not say that they have changed their mind.
    """
    now, where = app.clock.now(), named_channel(channel)
    why = line("the reason to remove a suppression", reason, InvalidSuppression)
    known = folded(app, where, address)
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        rows = suppressions.at(connection, tenant_id, where, known, app.settings.secrets, scope=scope, lock=True)
        if not rows:
            raise NotFound(f"{address!r:.80} is not suppressed on {where}{f' for {scope}' if scope else ''}")
        if not force:
            _respect([row.suppression for row in rows])
        suppressions.remove(connection, [row.id for row in rows])
        for row in rows:
            detail = {"reason": why, "forced": force, "was": as_json(row.suppression)}
            _audit(
                connection, tenant_id, row.suppression, now, actor=actor, action="suppressions.remove", detail=detail
            )
    emit("suppression.removed", channel=where, count=len(rows), forced=force)
    return rows


def show(app: App, address: str, *, channel: str = Channel.EMAIL, tenant: str | None = None) -> Standing:
    """Everything that is known of an address. One that nobody knows has nothing to show, which is no error."""
    where = named_channel(channel)
    known = folded(app, where, address)
    with app.store.read() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        rows = suppressions.at(connection, tenant_id, where, known, app.settings.secrets)
        keys = suppressions.holders(connection, tenant_id, where, known)
        followed = consequences.of_address(connection, tenant_id, where, known)
    return Standing(where, known, tuple(rows), tuple(keys), tuple(followed))


def folded(app: App, channel: Channel, address: str) -> str:
    """The form in which addresses of a channel are compared; raises `InvalidAddress`. A tombstone stays as it is."""
    if isinstance(address, str) and tombstones.is_one(address):
        return address
    if channel is Channel.EMAIL:
        return Address(channel, parse(address, allow_test=app.settings.env is Environment.DEVELOPMENT)).folded
    if channel is Channel.SMS:
        return number.parse(address, region=app.settings.phone_region)
    return Address(channel, line("an address", address, InvalidAddress)).folded


def known_scope(app: App, scope: str) -> str:
    """`all`, a category, or `kind:` and a kind's name; any other would forbid nothing: `InvalidSuppression`."""
    named = line("a suppression's scope", scope, InvalidSuppression)
    known = [EVERYTHING, *app.kinds.categories(), *(f"{KIND_SCOPE}{name}" for name in app.kinds.names())]
    if named not in known:
        near = did_you_mean(named, known) or "."
        raise InvalidSuppression(
            f"unknown scope {named!r:.80}{near} It is all, a category ({', '.join(app.kinds.categories())}), or "
            f"{KIND_SCOPE} and a kind's name; `notify kinds list` shows both."
        )
    return named


def known_reason(reason: str) -> str:
    """One of REASONS; raises `InvalidSuppression`."""
    if reason not in REASONS:
        near = did_you_mean(reason, REASONS) or "."
        raise InvalidSuppression(
            f"unknown reason {reason!r:.40}{near} It is one of {', '.join(REASONS)}; further words go into the note."
        )
    return reason


def named_channel(channel: str) -> Channel:
    """The channel of this name; raises `InvalidSuppression`."""
    try:
        return Channel(channel)
    except ValueError:
        near = did_you_mean(channel, Channel) or "."
        raise InvalidSuppression(f"unknown channel {channel!r:.40}{near} It is one of {', '.join(Channel)}.") from None


def as_json(row: Suppression) -> dict[str, Any]:
    """A suppression as commands and audit rows write it."""
    return {
        "channel": row.channel,
        "address": row.address,
        "scope": row.scope,
        "reason": row.reason,
        "source": row.source,
        "since": row.since.isoformat() if row.since else None,
        "until": row.expires_at.isoformat() if row.expires_at else None,
        "note": row.note,
    }


def _respect(rows: Sequence[Suppression]) -> None:
    """Raise `InvalidSuppression` where one of them is the person's own word."""
    own = next((row for row in rows if row.reason in OWN_WORD), None)
    if own is not None:
        raise InvalidSuppression(
            f"the person said no: {own.reason} for {own.scope} ({own.source}); to write to them again is an "
            "offence in many countries, unless they asked for it since\n"
            "Next: when they did, and you can prove it, say so with --force (force=True)."
        )


def _audit(
    connection: Connection,
    tenant_id: UUID,
    row: Suppression,
    now: datetime,
    *,
    actor: str,
    action: str,
    detail: Mapping[str, Any],
) -> None:
    subject = f"{row.channel}:{row.address}"
    audit.write(connection, tenant_id, actor=actor, action=action, subject=subject, detail=detail, at=now)


def _note(note: str | None) -> str | None:
    if note is None:
        return None
    if not isinstance(note, str) or "\0" in note or len(note) > LONGEST_NOTE:
        raise InvalidSuppression(f"a note is text of at most {LONGEST_NOTE:,} characters")
    return note


def _until(expires: timedelta | datetime | None, now: datetime) -> datetime | None:
    if expires is None:
        return None
    if isinstance(expires, timedelta):
        try:
            expires = now + expires
        except OverflowError:
            raise InvalidSuppression(f"expires: {expires} from now is beyond the year 9999") from None
    if not isinstance(expires, datetime) or expires.utcoffset() is None:
        raise InvalidSuppression(f"expires is a timedelta or a datetime with a time zone, not {expires!r:.60}")
    if expires <= now:
        raise InvalidSuppression(f"expires is in the past: {expires:%Y-%m-%d %H:%M:%S %Z}")
    return expires

"""What recipients choose: by category and channel, when they want quiet, and when nothing at all.

Every change leaves a row in the recipient's history and one in the audit. What is required cannot be turned off. What
is held for quiet that is no longer wanted goes out at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from notify.app import App, ring
from notify.audience import ruling
from notify.audience.person import Who, person
from notify.audience.rescheduling import reschedule
from notify.errors import InvalidChoice, did_you_mean
from notify.kinds import Category
from notify.model import Author, Channel, Preferences, Quiet
from notify.model.preferences import FOREVER, NONE
from notify.store import audit, consents, preferences, recipient_history, tenants
from notify.telemetry import emit

Cells = Mapping[tuple[str, str], bool | None]
"""By category and channel: yes, no, or nothing chosen."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One channel of a category. `effective` is what holds: what is required comes whatever was chosen."""

    chosen: bool | None
    default: bool
    effective: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One category. `agreed` tells of consent where a kind of it asks for that, and is None elsewhere."""

    category: Category
    cells: Mapping[Channel, Cell]
    agreed: bool | None = None


@dataclass(frozen=True, slots=True)
class Matrix:
    """What a recipient chose, for every category in use; the rest as in `Preferences`."""

    rows: tuple[Row, ...]
    quiet: Quiet | None
    default_quiet: Quiet | None
    paused_until: datetime | None
    undisturbed_until: datetime | None


def get(app: App, who: Who, *, tenant: str | None = None) -> Matrix:
    """What holds for a recipient. Raises `NotFound`."""
    known = [one for one in app.kinds.categories().values() if one.channels]
    with app.store.read() as connection:
        holder = person(connection, who, tenant)
        chosen, rules = holder.preferences, ruling.rules(app, connection, holder.tenant_id)
        asking = [one.name for one in known if one.consent]
        agreed = {category for _, category in consents.granted(connection, [holder.id], asking)}
    rows = [_row(one, chosen, rules.defaults, one.name in agreed if one.consent else None) for one in known]
    now = app.clock.now()
    return Matrix(
        tuple(rows),
        chosen.quiet,
        rules.defaults.quiet,
        _still(chosen.paused_until, now),
        _still(chosen.undisturbed_until, now),
    )


def choose(app: App, who: Who, cells: Cells, *, by: Author, tenant: str | None = None) -> bool:
    """Choose for these cells, and leave every other as it is; False when nothing changed.

    Raises `InvalidChoice`, and changes nothing, when one of them is unknown or may not be turned off; `NotFound`.
    """
    checked = _checked(app, cells)
    return _change(app, who, lambda was: _with_cells(was, checked), by=by, action="preferences.choose", tenant=tenant)


def pause(app: App, who: Who, until: datetime | None, *, by: Author, tenant: str | None = None) -> bool:
    """Hold back all that is not required until then, or (None) until `resume`. Raises `InvalidChoice`."""
    end = _future(app, "a pause", until)
    return _change(
        app, who, lambda was: replace(was, paused_until=end), by=by, action="preferences.pause", tenant=tenant
    )


def resume(app: App, who: Who, *, by: Author, tenant: str | None = None) -> bool:
    """End a pause."""
    return _change(
        app, who, lambda was: replace(was, paused_until=None), by=by, action="preferences.resume", tenant=tenant
    )


def quiet(app: App, who: Who, hours: str | None, *, by: Author, tenant: str | None = None) -> bool:
    """Quiet hours of the recipient's day such as `22:00-07:00`; None: the tenant's. Raises `InvalidChoice`."""
    span = None if hours is None else quiet_hours(hours)
    return _change(app, who, lambda was: replace(was, quiet=span), by=by, action="preferences.quiet", tenant=tenant)


def do_not_disturb(app: App, who: Who, until: datetime | None, *, by: Author, tenant: str | None = None) -> bool:
    """Treat the time until then as quiet hours; None: no longer. Raises `InvalidChoice`."""
    end = None if until is None else _future(app, "do-not-disturb", until)
    return _change(
        app, who, lambda was: replace(was, undisturbed_until=end), by=by, action="preferences.disturb", tenant=tenant
    )


def reset(app: App, who: Who, *, by: Author, tenant: str | None = None) -> bool:
    """Forget whatever was chosen: the tenant's choices count again."""
    return _change(app, who, lambda _: NONE, by=by, action="preferences.reset", tenant=tenant)


def defaults(app: App, *, tenant: str | None = None) -> Preferences:
    """What counts for the tenant's recipients who chose nothing: its own choices over those of the categories."""
    with app.store.read() as connection:
        chosen = tenants.preferences(connection, tenants.tenant_id(connection, tenant))
    return replace(chosen, choices=ruling.choices(app, chosen))


def set_default(app: App, cells: Cells, *, by: Author, tenant: str | None = None) -> bool:
    """Choose for the tenant's recipients who chose nothing; None: as the category says. Raises `InvalidChoice`."""
    checked = _checked(app, cells)
    return _rule(app, lambda was: _with_cells(was, checked), by=by, tenant=tenant)


def set_default_quiet(app: App, hours: str | None, *, by: Author, tenant: str | None = None) -> bool:
    """Quiet hours of the tenant's recipients who have none of their own; None: none. Raises `InvalidChoice`."""
    span = None if hours is None else quiet_hours(hours)
    return _rule(app, lambda was: replace(was, quiet=span), by=by, tenant=tenant)


def quiet_hours(text: str) -> Quiet:
    """Read `22:00-07:00`; raises `InvalidChoice`."""
    try:
        span = Quiet.parse(text)
    except (ValueError, AttributeError):
        span = None
    ends = () if span is None else (span.start, span.end)
    if span is None or any(end.tzinfo or end.second or end.microsecond for end in ends):
        raise InvalidChoice(f"{text!r:.40} is no span of hours; write it like 22:00-07:00")
    if span.start == span.end:
        raise InvalidChoice(f"quiet hours from {span.start:%H:%M} to {span.end:%H:%M} are none, or all: give a span")
    return span


def without(was: Preferences, category: str) -> Preferences:
    """The same without a no to this category: for who has just agreed to it."""
    row = was.choices.get(category, {})
    return _with_cells(was, {(category, channel): None for channel, chosen in row.items() if chosen is False})


def differences(was: Preferences, now: Preferences) -> dict[str, tuple[Any, Any]]:
    """By field what was before and what came after, as the history of a recipient holds it."""
    before, after = _flat(was), _flat(now)
    names = [*before, *(name for name in after if name not in before)]
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def _change(
    app: App,
    who: Who,
    edit: Callable[[Preferences], Preferences],
    *,
    by: Author,
    action: str,
    tenant: str | None,
) -> bool:
    now = app.clock.now()
    with app.store.begin() as connection:
        holder = person(connection, who, tenant, lock=True)
        chosen = edit(holder.preferences)
        changes = differences(holder.preferences, chosen)
        if not changes:
            return False
        preferences.write(connection, holder, chosen, now)
        recipient_history.write(connection, holder.tenant_id, [(holder.id, changes)], now, by)
        subject, detail = str(holder.id), {name: list(pair) for name, pair in changes.items()}
        audit.write(connection, holder.tenant_id, actor=by.actor, action=action, subject=subject, detail=detail, at=now)
        rung = reschedule(app, connection, holder.id) if _wakes(holder.preferences, chosen) else []
    ring(app, rung)
    emit("preferences.changed", recipient=holder.id, fields=len(changes))
    return True


def _wakes(was: Preferences, chosen: Preferences) -> bool:
    """Whether what is held may go out earlier: other hours than before, or a shorter do-not-disturb."""
    before, after = was.undisturbed_until, chosen.undisturbed_until
    return was.quiet != chosen.quiet or (before is not None and (after is None or after < before))


def _rule(app: App, edit: Callable[[Preferences], Preferences], *, by: Author, tenant: str | None) -> bool:
    now = app.clock.now()
    with app.store.begin() as connection:
        tenant_id = tenants.tenant_id(connection, tenant)
        tenants.lock(connection, tenant_id)
        was = tenants.preferences(connection, tenant_id)
        chosen = edit(was)
        changes = differences(was, chosen)
        if not changes:
            return False
        tenants.set_preferences(connection, tenant_id, chosen)
        detail = {name: list(pair) for name, pair in changes.items()}
        audit.write(
            connection,
            tenant_id,
            actor=by.actor,
            action="preferences.defaults",
            subject=str(tenant_id),
            detail=detail,
            at=now,
        )
    app.rule_book.forget(tenant_id)
    return True


def _row(category: Category, chosen: Preferences, defaults: Preferences, agreed: bool | None) -> Row:
    def cell(channel: Channel) -> Cell:
        own, default = chosen.choice(category.name, channel), defaults.choice(category.name, channel) is not False
        wanted = default if own is None else own
        if agreed is not None:  # who agreed to it and said nothing else wants it
            wanted = agreed and own is not False
        return Cell(own, default, category.required or wanted)

    return Row(category, {channel: cell(channel) for channel in category.channels}, agreed)


def _checked(app: App, cells: Cells) -> dict[tuple[str, Channel], bool | None]:
    known = app.kinds.categories()
    checked: dict[tuple[str, Channel], bool | None] = {}
    for (category, word), on in cells.items():
        if word not in list(Channel):
            near = did_you_mean(word, list(Channel)) or f"; there are {', '.join(Channel)}"
            raise InvalidChoice(f"{word!r:.40} is not a channel{near}")
        if category not in known:
            near = did_you_mean(category, known) or f"; there are {', '.join(known)}"
            raise InvalidChoice(f"no kind belongs to the category {category!r:.60}{near}")
        if on is False and known[category].required:
            raise InvalidChoice(f"{category} cannot be turned off, for it is required; leave it out")
        checked[category, Channel(word)] = on
    return checked


def _with_cells(was: Preferences, cells: Mapping[tuple[str, Channel], bool | None]) -> Preferences:
    choices = {category: dict(row) for category, row in was.choices.items()}
    for (category, channel), on in cells.items():
        row = choices.setdefault(category, {})
        if on is None:
            row.pop(channel, None)
        else:
            row[channel] = on
    return replace(was, choices={category: row for category, row in choices.items() if row})


def _future(app: App, what: str, until: datetime | None) -> datetime:
    if until is None:
        return FOREVER
    if not isinstance(until, datetime) or until.tzinfo is None:
        raise InvalidChoice(f"{what} ends at an aware datetime, not {until!r:.60}")
    if until <= app.clock.now():
        raise InvalidChoice(f"{what} cannot end in the past: {until:%Y-%m-%d %H:%M %Z}")
    return until


def _still(until: datetime | None, now: datetime) -> datetime | None:
    return until if until is not None and until > now else None


def _flat(chosen: Preferences) -> dict[str, Any]:
    said = chosen.as_json()
    cells = {
        f"preferences.{category}.{channel}": on
        for category, row in said.pop("choices", {}).items()
        for channel, on in row.items()
    }
    return {**cells, **{f"preferences.{name}": value for name, value in said.items()}}

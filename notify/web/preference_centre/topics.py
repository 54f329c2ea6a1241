"""What a recipient receives, by category and channel: what the page shows of it, and what its form changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from notify.audience import consent, preferences, returning
from notify.audience.preferences import Matrix, Row
from notify.model import Address, Channel, Profile
from notify.web.preference_centre.entry import Entry, Refused
from notify.web.preference_centre.places import Words
from notify.web.preference_centre.visit import Visit


@dataclass(frozen=True, slots=True)
class Cell:
    """One box. `value` names it in the form; without one there is no box, for the category is not sent that way."""

    channel: str
    value: str = ""
    on: bool = False


@dataclass(frozen=True, slots=True)
class Topic:
    """One category as the page shows it, with a cell for each of the page's channels."""

    title: str
    description: str
    required: bool
    cells: tuple[Cell, ...]
    left: tuple[tuple[str, str], ...] = ()
    """The kinds of it that the visitor unsubscribed from alone: what names each in the form, and its title."""


def channel_names(_: Words) -> Mapping[Channel, str]:
    """What people call the channels."""
    return {
        Channel.EMAIL: _("E-mail"),
        Channel.SMS: _("Text message"),
        Channel.WEB_PUSH: _("Push notification"),
        Channel.IN_APP: _("In the app"),
        Channel.CHAT: _("Chat"),
        Channel.WEBHOOK: _("Webhook"),
    }


def shown(visit: Visit, matrix: Matrix) -> list[Topic]:
    """Every category that comes by a channel which the visitor has; what may be chosen first."""
    names = channel_names(visit.words)
    used = {channel for row in matrix.rows for channel in row.cells}
    channels = [channel for channel in Channel if channel in used and visit.profile.primary(channel)]
    topics = [_topic(visit, row, channels, names) for row in matrix.rows]
    return sorted((topic for topic in topics if any(cell.value for cell in topic.cells)), key=lambda one: one.required)


def _topic(visit: Visit, row: Row, channels: list[Channel], names: Mapping[Channel, str]) -> Topic:
    category = row.category
    return Topic(
        title=visit.own_words(category.title),
        description=visit.own_words(category.description) if category.description else "",
        required=category.required,
        cells=tuple(
            Cell(names[channel], f"{category.name}/{channel}", _comes(visit.profile, row, channel))
            if channel in row.cells
            else Cell(names[channel])
            for channel in channels
        ),
        left=tuple(
            (f"{channel}/{scope}", visit.own_words(category.kinds[scope.removeprefix("kind:")]))
            for channel in channels
            for scope in sorted(set(_left(visit.profile, channel)) & set(category.scopes[1:]))
        ),
    )


def _comes(profile: Profile, row: Row, channel: Channel) -> bool:
    """Whether it comes as far as the recipient's own word goes: wish, consent, and what they unsubscribed from."""
    left = any(scope == row.category.name for scope in _left(profile, channel))
    return row.cells[channel].effective and row.agreed is not False and not left


def _left(profile: Profile, channel: Channel) -> Iterator[str]:
    address = profile.primary(channel)
    return (row.scope for row in (address.suppressions if address else ()) if row.reason == returning.OWN_NO)


def save(visit: Visit, entry: Entry) -> str:
    """Change the cells whose boxes were changed since the page showed them, and send again the kinds that were ticked.

    Who ticks a category gets all of its kinds again.
    """
    on, shown = set(entry.all("on")), [value.partition(" ") for value in entry.all("was")]
    for channel, _, scope in (value.partition("/") for value in on):
        if scope.startswith("kind:") and channel in list(Channel):
            _come_back(visit, Channel(channel), scope)
    changed = dict(_named(visit, cell, cell in on) for was, _, cell in shown if (cell in on) != (was == "on"))
    if not changed:
        return "topics"
    rows = {row.category.name: row for row in preferences.get(visit.app, visit.profile.id).rows}
    preferences.choose(visit.app, visit.profile.id, changed, by=visit.by)
    for (category, channel), chosen in changed.items():
        scopes = rows[category].category.scopes if chosen and category in rows else ()
        for scope in set(scopes) & set(_left(visit.profile, Channel(channel))):
            _come_back(visit, Channel(channel), scope)
    for category in {category for category, _channel in changed}:
        row = rows.get(category)
        if row is not None and row.category.consent:
            _agree_or_not(visit, row, {way: chosen for (name, way), chosen in changed.items() if name == category})
    return "topics"


def _named(visit: Visit, value: str, chosen: bool) -> tuple[tuple[str, str], bool]:
    category, slash, channel = value.rpartition("/")
    if not slash or channel not in list(Channel):
        raise Refused(visit.words("This form is not known. Look at the page again."))
    return (category, channel), chosen


def _agree_or_not(visit: Visit, row: Row, changed: Mapping[str, bool]) -> None:
    """To tick a category that needs consent is to agree to it; to leave it on no channel is to withdraw that."""
    category = row.category
    after = {channel: changed.get(channel, _comes(visit.profile, row, channel)) for channel in row.cells}
    app, who, by = visit.app, visit.profile.id, visit.by
    if not row.agreed and any(after.values()):
        words = ": ".join(visit.own_words(text) for text in (category.title, category.description) if text)
        consent.grant(app, who, category.name, wording=words, source=by.source, by=by, proof=visit.proof)
    elif row.agreed and not any(after.values()):
        consent.withdraw(app, who, category.name, source=by.source, by=by, proof=visit.proof)


def subscribe(visit: Visit, entry: Entry) -> str:
    """Take back that the main address was unsubscribed from everything; what others said of it stays."""
    _come_back(visit, Channel.EMAIL, "all")
    return "subscribed"


def _come_back(visit: Visit, channel: Channel, scope: str) -> None:
    address = visit.profile.primary(channel)
    if address is not None:
        folded = Address(channel, address.value).folded
        returning.come_back(visit.app, visit.profile.id, channel, folded, scope, by=visit.by)

"""Everything the page shows, in the visitor's language and on the visitor's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime, format_time, get_datetime_format

from notify.audience import preferences
from notify.audience.returning import OWN_NO
from notify.kinds import locales
from notify.model import Channel, OwnAddress, Quiet
from notify.model.preferences import FOREVER
from notify.web.preference_centre import places, profile, topics
from notify.web.preference_centre.entry import Entry, Refused
from notify.web.preference_centre.forms import LENGTHS, SPANS, next_morning
from notify.web.preference_centre.places import Choice
from notify.web.preference_centre.topics import Topic
from notify.web.preference_centre.visit import Visit

_USUAL = Quiet.parse("22:00-07:00")
"""What the form proposes to who has no quiet hours."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An address, and what may be done with it."""

    handle: str
    value: str
    channel: str
    primary: bool
    verified: bool
    verifiable: bool


@dataclass(frozen=True, slots=True)
class Page:
    """What the template prints. `section` is the one that `said` or `wrong` is about, `field` the one to blame."""

    topics: Sequence[Topic]
    quiet_start: str
    quiet_end: str
    has_quiet: bool
    default_quiet: str
    zone_name: str
    local_time: str
    local_now: str
    undisturbed_until: str
    spans: Sequence[Choice]
    span: str
    until: str
    paused: bool
    paused_until: str
    lengths: Sequence[Choice]
    length: str
    locales: Sequence[Choice]
    locale: str
    locale_was: str
    zones: Sequence[tuple[str, Sequence[Choice]]]
    timezone: str
    timezone_was: str
    addresses: Sequence[Shown]
    extensible: bool
    email: str
    main: str
    unsubscribed: bool
    unreachable: bool
    section: str = ""
    said: str = ""
    wrong: str = ""
    field: str = ""

    @property
    def choosable(self) -> bool:
        """Whether any topic may be turned off."""
        return any(not topic.required for topic in self.topics)


def page(visit: Visit, *, said: tuple[str, str] | None = None, tried: tuple[Entry, Refused] | None = None) -> Page:
    """What there is to show now; what was `tried` and refused stands in its fields as it was given."""
    matrix = preferences.get(visit.app, visit.profile.id)
    entry, refused = tried or (Entry(()), Refused(""))
    quiet = matrix.quiet or matrix.default_quiet or _USUAL
    reasons = {row.reason for row in (visit.main.suppressions if visit.main else ()) if row.scope == "all"}
    locale, zone = entry.one("locale") or visit.locale, entry.one("timezone") or visit.zone
    now = visit.now
    return Page(
        topics=topics.shown(visit, matrix),
        quiet_start=entry.one("start") if tried and entry.section == "quiet" else f"{quiet.start:%H:%M}",
        quiet_end=entry.one("end") if tried and entry.section == "quiet" else f"{quiet.end:%H:%M}",
        has_quiet=matrix.quiet is not None,
        default_quiet=str(matrix.default_quiet or "").replace("-", "–"),
        zone_name=places.zone_name(visit.zone, visit.language),
        local_time=format_time(now.time(), "short", locale=locales.parse(visit.language)),
        local_now=f"{now:%Y-%m-%dT%H:%M}",
        undisturbed_until=_moment(visit, matrix.undisturbed_until),
        spans=_spans(visit),
        span=entry.one("span") or "1h",
        until=entry.one("until"),
        paused=_ahead(visit, matrix.paused_until),
        paused_until=_moment(visit, matrix.paused_until),
        lengths=_lengths(visit),
        length=entry.one("length") or "week",
        locales=places.languages({*visit.locales, visit.locale}),
        locale=locale,
        locale_was=visit.locale,
        zones=places.zones(visit.zone, visit.language, visit.words),
        timezone=zone,
        timezone_was=visit.zone,
        addresses=_addresses(visit),
        extensible=profile.extensible(visit),
        email=entry.one("email"),
        main=visit.main.value if visit.main else "",
        unsubscribed=OWN_NO in reasons,
        unreachable=bool(reasons - {OWN_NO}),
        section=entry.section if tried else said[0] if said else "",
        said=said[1] if said else "",
        wrong=refused.text,
        field=refused.field,
    )


def _ahead(visit: Visit, until: datetime | None) -> bool:
    return until is not None and until > visit.app.clock.now()


def _moment(visit: Visit, until: datetime | None) -> str:
    """A moment to come, on the visitor's clock; empty for none, and for what has no end."""
    if until is None or not _ahead(visit, until) or until >= FOREVER:
        return ""
    there, locale = until.astimezone(ZoneInfo(visit.zone)), locales.parse(visit.language)
    day, hour = format_date(there, "long", locale=locale), format_time(there.time(), "short", locale=locale)
    return str(get_datetime_format("medium", locale=locale)).replace("{1}", day).replace("{0}", hour)


def _spans(visit: Visit) -> list[Choice]:
    _ = visit.words
    morning = format_datetime(next_morning(visit.now), "EEEE, H:mm", locale=locales.parse(visit.language))
    named = {"1h": _("One hour"), "4h": _("Four hours")}
    return [*((span, named[span]) for span in SPANS), ("morning", _("Until %(time)s", time=morning))]


def _lengths(visit: Visit) -> list[Choice]:
    _ = visit.words
    named = {"day": _("A day"), "week": _("A week"), "month": _("A month"), "always": _("Until I resume")}
    return [(length, named[length]) for length in LENGTHS]


def _addresses(visit: Visit) -> list[Shown]:
    names = topics.channel_names(visit.words)
    order = list(Channel)

    def rank(one: OwnAddress) -> tuple[int, bool, str]:
        return order.index(one.channel), not one.primary, one.value

    return [
        Shown(
            profile.handle(one),
            one.value,
            names[one.channel],
            one.primary,
            one.verified,
            profile.verifiable(visit, one),
        )
        for one in sorted(visit.profile.addresses, key=rank)
    ]

"""What the page's forms ask for is done by the functions that everybody else calls: nothing is set that they refuse.

A form says what it showed, too, and only what was changed in it is saved: of two tabs, the second leaves alone what the
first one changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from notify.audience import preferences
from notify.errors import RequestError
from notify.web.preference_centre import mails, profile, topics
from notify.web.preference_centre.entry import Entry, Refused
from notify.web.preference_centre.visit import Visit

LENGTHS = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30), "always": None}
SPANS = {"1h": timedelta(hours=1), "4h": timedelta(hours=4)}
MORNING = time(8)
FARTHEST = timedelta(days=366)


def follow(visit: Visit, entry: Entry) -> str:
    """Do what a form asks for; returns the word for it that `said.sentence` knows. Raises `Refused`."""
    act = _SECTIONS.get(entry.section)
    if act is None:
        raise Refused(visit.words("This form is not known. Look at the page again."))
    try:
        return act(visit, entry)
    except RequestError:  # its text is for programmers, and in English
        raise Refused(visit.words("This cannot be saved. Look at the page again, and try once more.")) from None


def _quiet(visit: Visit, entry: Entry) -> str:
    if entry.act == "none":
        preferences.quiet(visit.app, visit.profile.id, None, by=visit.by)
        return "quiet-none"
    start, end = _hour(visit, entry, "start"), _hour(visit, entry, "end")
    if start == end:
        raise Refused(visit.words("Quiet hours cannot begin and end at the same time."), "end")
    preferences.quiet(visit.app, visit.profile.id, f"{start:%H:%M}-{end:%H:%M}", by=visit.by)
    return "quiet"


def _hour(visit: Visit, entry: Entry, name: str) -> time:
    try:
        return datetime.strptime(entry.one(name)[:5], "%H:%M").time()
    except ValueError:
        raise Refused(visit.words("Give both times, such as 22:00 and 07:00."), name) from None


def _disturb(visit: Visit, entry: Entry) -> str:
    if entry.act == "off":
        preferences.do_not_disturb(visit.app, visit.profile.id, None, by=visit.by)
        return "disturb-off"
    preferences.do_not_disturb(visit.app, visit.profile.id, _until(visit, entry), by=visit.by)
    return "disturb"


def _until(visit: Visit, entry: Entry) -> datetime:
    span, now = entry.one("span"), visit.now
    if span in SPANS:
        return visit.app.clock.now() + SPANS[span]
    if span == "morning":
        return next_morning(now)
    if span != "until":
        raise Refused(visit.words("Choose for how long."), "span")
    try:
        until = datetime.fromisoformat(entry.one("until")).replace(tzinfo=ZoneInfo(visit.zone))
    except ValueError:
        raise Refused(visit.words("Give a day and a time."), "until") from None
    if not visit.app.clock.now() < until <= visit.app.clock.now() + FARTHEST:
        raise Refused(visit.words("Give a time to come, within a year."), "until")
    return until


def next_morning(now: datetime) -> datetime:
    """The next eight o'clock of this clock."""
    day = now.date() if now.time() < MORNING else now.date() + timedelta(days=1)
    return datetime.combine(day, MORNING, now.tzinfo)


def _pause(visit: Visit, entry: Entry) -> str:
    if entry.act == "resume":
        preferences.resume(visit.app, visit.profile.id, by=visit.by)
        return "resumed"
    length = entry.one("length")
    if length not in LENGTHS:
        raise Refused(visit.words("Choose for how long."), "length")
    span = LENGTHS[length]
    until = None if span is None else visit.app.clock.now() + span
    preferences.pause(visit.app, visit.profile.id, until, by=visit.by)
    return "paused"


def _test(visit: Visit, entry: Entry) -> str:
    mails.send_test(visit)
    return "test"


_SECTIONS: Mapping[str, Callable[[Visit, Entry], str]] = {
    "topics": topics.save,
    "subscribe": topics.subscribe,
    "quiet": _quiet,
    "disturb": _disturb,
    "pause": _pause,
    "language": profile.language,
    "addresses": profile.addresses,
    "test": _test,
}

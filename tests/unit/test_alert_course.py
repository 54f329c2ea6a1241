"""The course of an alert: fires once, clears once, is told no oftener than every five minutes, and once a day."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from notify.alerts.course import APART, CLEAR_AFTER, REMIND_AFTER, Condition, Sight, due, follow, taken
from notify.model import Alert, AlertState, Severity, Told, Word

EVERY = timedelta(seconds=10)
AT_ONCE = Condition("paused:main", Severity.ERROR, "provider main is paused. Next: notify providers list")
PATIENT = Condition("breaker:main", Severity.WARNING, "provider main takes nothing", at_once=False)


@dataclass
class Watched:
    """Looks every ten seconds, and a sink that takes every word at once."""

    now: datetime = datetime(2026, 5, 1, 9, tzinfo=UTC)
    known: dict[str, Alert] = field(default_factory=dict)
    told: Told = field(default_factory=Told)
    heard: list[tuple[Word, int]] = field(default_factory=list)

    def look(self, *conditions: Condition, unknown: frozenset[str] = frozenset()) -> list[Word]:
        self.now += EVERY
        self.known |= {one.name: one for one in follow(self.known, Sight(conditions, unknown), self.now)}
        before = len(self.heard)
        for alert in self.known.values():
            if notice := due(alert, self.told, self.now):
                self.told = taken(notice, self.told, self.now)
                self.heard.append((notice.word, notice.came))
        return [word for word, _ in self.heard[before:]]

    def looks(self, span: timedelta, *conditions: Condition) -> list[Word]:
        return [word for _ in range(span // EVERY) for word in self.look(*conditions)]


def test_what_holds_is_told_once_and_told_to_be_over_once() -> None:
    watched = Watched()
    assert watched.look(AT_ONCE) == [Word.FIRED]
    assert watched.looks(timedelta(hours=1), AT_ONCE) == []
    assert watched.looks(timedelta(hours=1)) == [Word.CLEARED]


def test_what_is_not_told_at_once_must_hold_at_two_looks() -> None:
    watched = Watched()
    assert watched.look(PATIENT) == []
    assert watched.known["breaker:main"].state is AlertState.PENDING
    assert watched.look() == []
    assert watched.look(PATIENT) == []
    assert watched.look(PATIENT) == [Word.FIRED]
    assert watched.known["breaker:main"].times == 1


def test_it_is_over_only_after_a_minute_of_quiet() -> None:
    watched = Watched()
    watched.look(AT_ONCE)
    for _ in range(20):
        assert watched.looks(CLEAR_AFTER - EVERY) == []
        assert watched.look(AT_ONCE) == []
    assert watched.looks(CLEAR_AFTER) == [Word.CLEARED]


def test_one_that_flaps_is_told_every_five_minutes_at_most_and_says_how_often_it_came() -> None:
    watched = Watched()
    begin = watched.now
    while watched.now < begin + timedelta(hours=1):
        watched.look(AT_ONCE)
        watched.looks(CLEAR_AFTER)
    fired = [came for word, came in watched.heard if word is Word.FIRED]
    assert 2 < len(fired) <= timedelta(hours=1) / APART
    assert fired[0] == 1
    assert min(fired[1:]) > 1
    assert sum(fired) <= watched.known[AT_ONCE.name].times


def test_one_that_came_and_went_within_the_five_minutes_is_not_told_at_all() -> None:
    watched = Watched()
    assert watched.look(AT_ONCE) == [Word.FIRED]
    assert watched.looks(CLEAR_AFTER) == [Word.CLEARED]
    assert watched.look(AT_ONCE) == []
    assert watched.looks(timedelta(hours=1)) == []


def test_one_that_holds_on_is_told_again_every_day() -> None:
    watched = Watched()
    watched.look(AT_ONCE)
    watched.now += REMIND_AFTER - 2 * EVERY
    assert watched.look(AT_ONCE) == []
    assert watched.look(AT_ONCE) == [Word.REMINDER]
    assert watched.look(AT_ONCE) == []


def test_an_occurrence_that_follows_another_without_a_pause_is_told_by_itself() -> None:
    watched = Watched()
    assert watched.looks(timedelta(hours=1), AT_ONCE) == [Word.FIRED]
    assert watched.look(replace(AT_ONCE, anew=True)) == [Word.FIRED]
    assert watched.looks(timedelta(hours=1), AT_ONCE) == []
    assert watched.known[AT_ONCE.name].times == 2
    assert watched.known[AT_ONCE.name].fired_at > watched.now - timedelta(minutes=61)
    assert watched.looks(timedelta(hours=1)) == [Word.CLEARED]


def test_what_nobody_can_tell_stays_as_it_is() -> None:
    watched = Watched()
    watched.look(AT_ONCE)
    for _ in range(100):
        assert watched.look(unknown=frozenset({AT_ONCE.name})) == []
    assert watched.look() == [Word.CLEARED]


def test_a_sink_that_never_heard_of_it_is_not_told_that_it_is_over() -> None:
    watched = Watched()
    watched.look(AT_ONCE)
    watched.looks(CLEAR_AFTER)
    over = watched.known[AT_ONCE.name]
    assert over.state is AlertState.CLEARED
    assert due(over, Told(), watched.now) is None
    assert due(over, Told(fired=True, at=watched.now, times=1), watched.now) is not None


def test_the_words_of_an_alert_are_the_newest() -> None:
    watched = Watched()
    watched.look(AT_ONCE)
    watched.look(replace(AT_ONCE, summary="two providers are paused", severity=Severity.CRITICAL))
    alert = watched.known[AT_ONCE.name]
    assert (alert.summary, alert.severity) == ("two providers are paused", Severity.CRITICAL)


def test_a_line_says_what_how_often_and_what_to_do_next() -> None:
    watched = Watched()
    watched.look(AT_ONCE)
    alert = watched.known[AT_ONCE.name]
    notice = due(replace(alert, times=3), Told(at=watched.now - APART, times=1), watched.now)
    assert notice is not None
    assert notice.line == (
        "provider main is paused. It came 2 times since this was last told. Next: notify providers list"
    )
    over = due(replace(alert, state=AlertState.CLEARED), Told(fired=True, at=watched.now), watched.now)
    assert over is not None
    assert over.line == "over: provider main is paused."
    again = due(alert, Told(fired=True, at=watched.now - REMIND_AFTER, times=1), watched.now)
    assert again is not None
    assert again.line.startswith("still, since 2026-05-01 09:00 UTC: provider main is paused.")

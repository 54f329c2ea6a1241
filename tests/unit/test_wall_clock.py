"""What a clock on the wall shows, on any night of the year, beside one that is read minute by minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from notify.model import (
    Address,
    Channel,
    Decision,
    Defer,
    Kind,
    Lane,
    Local,
    OnDoubt,
    OnQuiet,
    Preferences,
    Quiet,
    Recipient,
    Send,
    Skip,
    Suppression,
)
from notify.policy import Rules, decide, wall_clock

AMSTERDAM = "Europe/Amsterdam"
ZONES = (
    *(AMSTERDAM, "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "America/St_Johns", "UTC"),
    *("Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "America/Santiago", "Asia/Kathmandu"),
)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
KIND = Kind("news", "News", "newsletter", (Channel.EMAIL,), Lane.NORMAL, OnDoubt.HOLD, critical=False, version="1")
ADA = Recipient(
    UUID(int=1), "ada", timezone=AMSTERDAM, addresses={Channel.EMAIL: Address(Channel.EMAIL, "ada@example.org")}
)
NIGHT = Quiet.parse("22:00-07:00")

minutes = some.builds(time, some.integers(0, 23), some.integers(0, 59))
moments = some.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)).map(
    lambda at: at.replace(tzinfo=UTC, second=0, microsecond=0)
)
changes = some.sampled_from(
    [
        datetime(2026, 3, 29, 1, tzinfo=UTC),  # Amsterdam, forward
        datetime(2026, 10, 25, 1, tzinfo=UTC),  # and back
        datetime(2026, 3, 8, 7, tzinfo=UTC),  # New York, forward
        datetime(2026, 11, 1, 6, tzinfo=UTC),
        datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe, by half an hour
        datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
        datetime(2026, 4, 5, 3, tzinfo=UTC),  # Santiago, at midnight
        datetime(2026, 9, 6, 4, tzinfo=UTC),
    ]
)
near_changes = some.builds(lambda at, by: at + by * MINUTE, changes, some.integers(-1600, 1600))


def shown(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def each_minute(start: datetime, days: int = 3) -> Iterator[datetime]:
    return (start + number * MINUTE for number in range(days * 1440))


def naively_quiet(hours: Quiet, wall: datetime) -> bool:
    now = wall.time()
    if hours.start <= hours.end:
        return hours.start <= now < hours.end
    return now >= hours.start or now < hours.end


@settings(max_examples=300, deadline=None)
@given(minutes, minutes, some.one_of(moments, near_changes), some.sampled_from(ZONES))
@example(time(22), time(2, 30), datetime(2026, 3, 28, 23, tzinfo=UTC), AMSTERDAM)
@example(time(22), time(2, 30), datetime(2026, 10, 24, 23, tzinfo=UTC), AMSTERDAM)
@example(time(2, 30), time(7), datetime(2026, 10, 25, 0, 45, tzinfo=UTC), AMSTERDAM)
def test_quiet_hours_end_when_the_clock_shows_it(start: time, end: time, now: datetime, zone: str) -> None:
    hours = Quiet(start, end)
    naive = next(at for at in each_minute(now) if not naively_quiet(hours, shown(at, zone)))
    found = wall_clock.ends(start, end, now, ZoneInfo(zone))
    assert (found or now) == naive
    assert (found is None) == (not naively_quiet(hours, shown(now, zone)))


@settings(max_examples=300, deadline=None)
@given(minutes, some.one_of(moments, near_changes), some.sampled_from(ZONES))
def test_a_time_of_day_is_its_first_showing_of_a_day_that_has_it(of_day: time, since: datetime, zone: str) -> None:
    found = wall_clock.moment(Local(of_day, since), ZoneInfo(zone))
    assert since <= found < since + 2 * DAY
    wall = shown(found, zone)
    if wall.time() == of_day:
        earlier = [at for at in each_minute(found - DAY, 1) if shown(at, zone) == wall]
        assert earlier == []  # of two showings it is the first
    else:
        assert all(shown(at, zone) != datetime.combine(wall.date(), of_day) for at in each_minute(found - DAY, 2))


@pytest.mark.parametrize(
    ("wall", "zone", "utc"),
    [
        ("2026-11-22T09:00", AMSTERDAM, "2026-11-22T08:00"),
        ("2026-11-22T09:00", "America/New_York", "2026-11-22T14:00"),
        ("2026-11-22T09:00", "Asia/Kolkata", "2026-11-22T03:30"),
        ("2026-03-29T02:30", AMSTERDAM, "2026-03-29T01:30"),  # skipped: the clock shows 03:30 then
        ("2026-03-29T03:00", AMSTERDAM, "2026-03-29T01:00"),
        ("2026-10-25T02:30", AMSTERDAM, "2026-10-25T00:30"),  # twice: the first
        ("2026-03-08T02:30", "America/New_York", "2026-03-08T07:30"),
        ("2026-11-01T01:30", "America/New_York", "2026-11-01T05:30"),
        ("2011-12-30T09:00", "Pacific/Apia", "2011-12-30T19:00"),  # a day that was skipped as a whole
        ("0001-01-01T00:00", AMSTERDAM, "0001-01-02T23:40:28"),
        ("9999-12-31T23:59", "America/New_York", "9999-12-30T04:59:59.999999"),
    ],
)
def test_a_wall_clock_is_read_on_the_nights_when_it_is_changed(wall: str, zone: str, utc: str) -> None:
    found = wall_clock.moment(Local.parse(wall), ZoneInfo(zone))
    assert found.isoformat().removesuffix("+00:00").removesuffix(":00") == utc


def test_half_past_eleven_in_kolkata_during_amsterdams_change() -> None:
    """Amsterdam's clock goes forward at 01:00 UTC; Kolkata's has shown 06:30 then, and knows nothing of it."""
    for since in (datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 28, 17, 59, tzinfo=UTC)):
        assert wall_clock.moment(Local.parse("23:30", since), ZoneInfo("Asia/Kolkata")) == datetime(
            2026, 3, 28, 18, tzinfo=UTC
        )
    during = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert wall_clock.moment(Local.parse("23:30", during), ZoneInfo("Asia/Kolkata")) == datetime(
        2026, 3, 29, 18, tzinfo=UTC
    )
    assert wall_clock.moment(Local.parse("23:30", during), ZoneInfo(AMSTERDAM)) == datetime(
        2026, 3, 29, 21, 30, tzinfo=UTC
    )


@pytest.mark.parametrize("text", ["9", "25:00", "09:00+02:00", "2026-02-30T09:00", "2026-11-22T09:00Z", "", "noon"])
def test_what_is_no_time_on_a_wall_clock_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
        Local.parse(text)


@given(moments, some.sampled_from(ZONES), minutes)
def test_nobodys_clock_shows_it_later_than_the_last(since: datetime, zone: str, of_day: time) -> None:
    for at in (Local(of_day, since), Local(since.replace(tzinfo=None))):
        assert wall_clock.moment(at, ZoneInfo(zone)) <= wall_clock.latest(at)


def decided(
    at: str,
    kind: Kind = KIND,
    recipient: Recipient = ADA,
    rules: Rules | None = None,
    *,
    planned: datetime | Local | None = None,
    suppressions: tuple[Suppression, ...] = (),
    **wishes: object,
) -> Decision:
    person = replace(recipient, preferences=Preferences(**wishes)) if wishes else recipient  # type: ignore[arg-type]
    now = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return decide(kind, person, Channel.EMAIL, suppressions, now, rules=rules or Rules(), at=planned)


def test_in_quiet_hours_what_can_wait_is_held_until_they_end() -> None:
    held = Defer(datetime(2026, 6, 2, 5, tzinfo=UTC), "quiet", "quiet hours 22:00-07:00 in Europe/Amsterdam")
    assert decided("2026-06-01T20:00", quiet=NIGHT) == held
    assert decided("2026-06-02T04:59", quiet=NIGHT) == held
    assert decided("2026-06-02T05:00", quiet=NIGHT) == Send()
    assert decided("2026-06-01T19:59", quiet=NIGHT) == Send()


def test_the_night_of_a_change_is_an_hour_shorter_or_longer() -> None:
    spring, autumn = decided("2026-03-28T21:00", quiet=NIGHT), decided("2026-10-24T20:00", quiet=NIGHT)
    assert isinstance(spring, Defer)
    assert isinstance(autumn, Defer)
    assert spring.until == datetime(2026, 3, 29, 5, tzinfo=UTC)
    assert autumn.until == datetime(2026, 10, 25, 6, tzinfo=UTC)


def test_the_tenants_hours_are_for_who_chose_none_and_by_the_recipients_clock() -> None:
    rules = Rules(defaults=Preferences(quiet=NIGHT), timezone="America/New_York")
    elsewhere = replace(ADA, timezone=None)
    assert decided("2026-06-02T03:00", rules=rules) == Defer(
        datetime(2026, 6, 2, 5, tzinfo=UTC), "quiet", "quiet hours 22:00-07:00 in Europe/Amsterdam, the tenant's"
    )
    assert decided("2026-06-02T01:00", recipient=elsewhere, rules=rules) == Send()
    assert decided("2026-06-02T03:00", recipient=elsewhere, rules=rules) == Defer(
        datetime(2026, 6, 2, 11, tzinfo=UTC), "quiet", "quiet hours 22:00-07:00 in America/New_York, the tenant's"
    )
    assert decided("2026-06-02T03:00", rules=rules, quiet=Quiet.parse("12:00-13:00")) == Send()


def test_do_not_disturb_holds_until_it_ends_or_the_quiet_hours_that_follow() -> None:
    evening, night = datetime(2026, 6, 1, 18, tzinfo=UTC), datetime(2026, 6, 1, 21, tzinfo=UTC)
    assert decided("2026-06-01T12:00", undisturbed_until=evening) == Defer(
        evening, "quiet", "do not disturb until 2026-06-01 18:00 UTC"
    )
    assert decided("2026-06-01T18:00", undisturbed_until=evening) == Send()
    assert decided("2026-06-01T12:00", undisturbed_until=night, quiet=NIGHT) == Defer(
        datetime(2026, 6, 2, 5, tzinfo=UTC),
        "quiet",
        "do not disturb until 2026-06-01 21:00 UTC, then quiet hours 22:00-07:00 in Europe/Amsterdam",
    )


def test_who_is_never_to_be_disturbed_is_not_asked_for_ever() -> None:
    never = datetime.max.replace(tzinfo=UTC)
    found = decided("2026-06-01T12:00", undisturbed_until=never, quiet=Quiet.parse("00:00-23:59"))
    assert isinstance(found, Defer)
    assert found.until == never


@pytest.mark.parametrize("kind", [replace(KIND, critical=True), replace(KIND, quiet=OnQuiet.SEND)])
def test_what_is_critical_or_may_be_sent_passes(kind: Kind) -> None:
    assert decided("2026-06-01T23:00", kind, quiet=NIGHT) == Send()
    assert decided("2026-06-01T12:00", kind, undisturbed_until=datetime(2026, 6, 2, tzinfo=UTC)) == Send()


def test_what_is_worth_nothing_later_is_dropped() -> None:
    found = decided("2026-06-01T23:00", replace(KIND, quiet=OnQuiet.DROP), quiet=NIGHT)
    assert found == Skip("quiet", "quiet hours 22:00-07:00 in Europe/Amsterdam")


def test_what_is_required_is_held_like_the_rest() -> None:
    assert isinstance(decided("2026-06-01T23:00", replace(KIND, required=True), quiet=NIGHT), Defer)


def test_what_is_scheduled_for_quiet_hours_goes_out_when_they_end_then() -> None:
    night = datetime(2026, 6, 5, 23, tzinfo=UTC)
    found = decided("2026-06-01T12:00", quiet=NIGHT, planned=night)
    assert isinstance(found, Defer)
    assert (found.until, found.reason) == (datetime(2026, 6, 6, 5, tzinfo=UTC), "quiet")


def test_only_the_hour_itself_drops_what_was_scheduled_for_it() -> None:
    """Until then the recipient may think better of the hours."""
    night, dropped = datetime(2026, 6, 5, 23, tzinfo=UTC), replace(KIND, quiet=OnQuiet.DROP)
    assert decided("2026-06-01T12:00", dropped, quiet=NIGHT, planned=night) == Defer(night, "scheduled", "send(at=…)")
    assert isinstance(decided("2026-06-05T23:00", dropped, quiet=NIGHT, planned=night), Skip)


def test_a_pause_or_a_suppression_that_is_over_by_then_does_not_stand_against_it() -> None:
    then, before = datetime(2026, 6, 5, 12, tzinfo=UTC), datetime(2026, 6, 4, tzinfo=UTC)
    soft = Suppression(Channel.EMAIL, "ada@example.org", "soft bounces", "feedback", expires_at=before)
    assert isinstance(decided("2026-06-01T12:00", suppressions=(soft,)), Skip)
    assert isinstance(decided("2026-06-01T12:00", paused_until=before), Skip)
    assert isinstance(decided("2026-06-01T12:00", planned=then, suppressions=(soft,)), Defer)
    assert isinstance(decided("2026-06-01T12:00", planned=then, paused_until=before), Defer)


def test_a_time_by_the_recipients_clock_names_the_zone_that_decided() -> None:
    since = datetime(2026, 11, 21, 12, tzinfo=UTC)
    at = Local.parse("09:00", since)
    assert decided("2026-11-21T12:00", planned=at) == Defer(
        datetime(2026, 11, 22, 8, tzinfo=UTC), "scheduled", "send(at=local 09:00) in Europe/Amsterdam"
    )
    lost = replace(ADA, timezone="Atlantis/Main")
    assert decided("2026-11-21T12:00", recipient=lost, rules=Rules(timezone="Asia/Kolkata"), planned=at) == Defer(
        datetime(2026, 11, 22, 3, 30, tzinfo=UTC), "scheduled", "send(at=local 09:00) in Asia/Kolkata"
    )
